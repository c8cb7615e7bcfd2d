package oauth

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Reason is what an Error means for the connection.
type Reason string

// What there is to do: after ReasonGrant, to look whether somebody else refreshed
// meanwhile, and then to send a person to authorise again; after ReasonClient, an
// operator has to act and no connection is to blame.
const (
	ReasonGrant     Reason = "grant"     // the refresh token, code or assertion is not valid (any more)
	ReasonDenied    Reason = "denied"    // the person said no
	ReasonClient    Reason = "client"    // the app is refused: its secret, its registration, its scopes
	ReasonPending   Reason = "pending"   // the person has not answered yet (device grant)
	ReasonTemporary Reason = "temporary" // the provider can't answer now; ask again later
)

// Error is a provider's no. Its text holds what the provider named and
// described, in one line, and never a token.
type Error struct {
	Status      int    // of the answer; 0 where it came over the person's browser
	Code        string // the provider's, such as invalid_grant; may be empty
	Description string // the provider's, cut to a line
	Reason      Reason
	// Wait is how long the provider asks to wait; zero: it does not say.
	Wait time.Duration
}

// Error says what the provider said.
func (e *Error) Error() string {
	said := e.Code
	if said == "" {
		said = "no reason given"
	}
	if e.Description != "" {
		said += ": " + e.Description
	}
	if e.Status == 0 {
		return "the provider refused: " + said
	}
	return fmt.Sprintf("the provider's token address answered %d: %s", e.Status, said)
}

// refusal reads an answer that is no token.
func (m *Method) refusal(answer Answer, members gjson.Result) *Error {
	e := &Error{Status: answer.Status, Code: errorCode(members), Description: description(members)}
	switch {
	case answer.Status == http.StatusTooManyRequests || answer.Status >= 500 || answer.Status == http.StatusRequestTimeout:
		e.Reason = ReasonTemporary
		if s, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && s > 0 && s < 86400 {
			e.Wait = time.Duration(s) * time.Second
		}
		// Some answer 500 to a dead token and name it.
		if reasons[strings.ToLower(e.Code)] == ReasonGrant {
			e.Reason = ReasonGrant
		}
	case answer.Status >= 300 && answer.Status < 400, !members.IsObject():
		e.Reason = ReasonTemporary // a page of something in between, not the token server's word
	default:
		e.Reason = reasonOf(e.Code, e.Description)
	}
	return e
}

// reasons are the codes of RFC 6749, sections 4.1.2.1 and 5.2, RFC 8628, section
// 3.5, and what single providers write in their place.
var reasons = map[string]Reason{
	"invalid_grant":                    ReasonGrant,
	"invalid_token":                    ReasonGrant,
	"bad_verification_code":            ReasonGrant, // GitHub
	"bad_refresh_token":                ReasonGrant, // GitHub
	"invalid_refresh_token":            ReasonGrant, // Slack
	"invalid_code":                     ReasonGrant, // Slack, Zoho
	"code_already_used":                ReasonGrant, // Slack
	"token_revoked":                    ReasonGrant, // Slack
	"account_inactive":                 ReasonGrant, // Slack
	"expired_token":                    ReasonGrant,
	"interaction_required":             ReasonGrant, // Microsoft
	"consent_required":                 ReasonGrant,
	"login_required":                   ReasonGrant,
	"access_denied":                    ReasonDenied,
	"user_cancelled_login":             ReasonDenied, // LinkedIn
	"user_cancelled_authorize":         ReasonDenied, // LinkedIn
	"invalid_client":                   ReasonClient,
	"invalid_client_id":                ReasonClient,
	"bad_client_secret":                ReasonClient, // Slack
	"incorrect_client_credentials":     ReasonClient, // GitHub
	"unauthorized_client":              ReasonClient,
	"unsupported_grant_type":           ReasonClient,
	"unsupported_response_type":        ReasonClient,
	"invalid_scope":                    ReasonClient,
	"redirect_uri_mismatch":            ReasonClient,
	"application_suspended":            ReasonClient, // GitHub
	"authorization_pending":            ReasonPending,
	"slow_down":                        ReasonPending,
	"temporarily_unavailable":          ReasonTemporary,
	"server_error":                     ReasonTemporary,
	"internal_error":                   ReasonTemporary,
	"ratelimited":                      ReasonTemporary, // Slack
	"rate_limited":                     ReasonTemporary,
	"too_many_requests":                ReasonTemporary,
	"general_error":                    ReasonTemporary,
	"service_unavailable":              ReasonTemporary,
	"invalid_request":                  ReasonClient,
	"missing_grant_type":               ReasonClient,
	"invalid_redirect_uri":             ReasonClient,
	"bad_redirect_uri":                 ReasonClient,
	"unverified_user_email":            ReasonDenied, // GitHub
	"invalid_team_for_non_distributed": ReasonClient, // Slack
}

// reasonOf judges a code. One that nobody knows is about the grant: asking a
// person again is safe, asking with a dead token for ever is not.
func reasonOf(code, description string) Reason {
	if r, ok := reasons[strings.ToLower(code)]; ok {
		if r == ReasonClient && code == "invalid_request" && strings.Contains(strings.ToLower(description), "refresh") {
			return ReasonGrant // the refresh token is what is invalid about it
		}
		return r
	}
	return ReasonGrant
}

// errorCode finds the provider's code: error, error.code or error.type, the code
// of the first of errors, code.
func errorCode(members gjson.Result) string {
	for _, path := range []string{"error", "error.type", "error.code", "errors.0.code", "errors.0.error", "errorCode", "code"} {
		if r := members.Get(path); r.Type == gjson.String && r.String() != "" {
			return word(r.String())
		}
	}
	return ""
}

func description(members gjson.Result) string {
	for _, path := range []string{"error_description", "error.message", "errors.0.message", "errors.0.detail", "message", "reason"} {
		if r := members.Get(path); r.Type == gjson.String && r.String() != "" {
			return text(r.String())
		}
	}
	return ""
}

// word makes a stranger's code safe for a log and an address.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '"' && r != '<' && r != '>' {
			return r
		}
		return -1
	}, cut(s, 64))
}

// text makes one line of a stranger's text. Long runs without a space are left
// out: they could be the token that is being refused.
func text(s string) string {
	words := strings.Fields(cut(s, 400))
	for i, w := range words {
		if len(w) >= 20 {
			words[i] = "…"
		}
	}
	return line(strings.Join(words, " "))
}

// line takes out what would break a line or a terminal.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, cut(s, 400))
}

func cut(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return strings.ToValidUTF8(s, "")
}

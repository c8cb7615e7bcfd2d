package oauth

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/integration"
)

// Token is what a provider gave us.
type Token struct {
	Access  integration.Secret
	Refresh integration.Secret // empty: none came; keep the one there was
	ID      integration.Secret // the ID token, not checked yet; see CheckIDToken
	// Expires is when the access token ends; zero: it does not, or nobody said.
	Expires time.Time
	// RefreshExpires is when the refresh token ends if it is not used; zero: it
	// does not, or nobody said.
	RefreshExpires time.Time
	// Scopes are those granted. An answer that names none granted what was asked
	// (RFC 6749, section 5.1).
	Scopes []string
	// Missing are those asked for and not granted.
	Missing []string
	// Answer holds the members that the profile says are to be kept or tell a
	// variable, as text.
	Answer map[string]string
}

// Answer is what came back from a token address.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// MaxAnswer is the most bytes of an answer that are worth reading: ID tokens
// with many claims stay below.
const MaxAnswer = 1 << 20

// farthest is the longest a token is believed to live.
const farthest = 10 * 365 * 24 * time.Hour

// ReadToken reads an answer at the time it came. asked are the scopes that were
// asked for. Whatever is no token is an *Error.
func (m *Method) ReadToken(answer Answer, asked []string, now time.Time) (Token, error) {
	members, ok := decode(answer)
	if !ok || answer.Status < 200 || answer.Status > 299 {
		return Token{}, m.refusal(answer, members)
	}
	access := members.Get("access_token").String()
	if access == "" {
		// Slack puts the token of a person one level down.
		if nested := members.Get("authed_user"); nested.Get("access_token").String() != "" && members.Get("ok").Bool() {
			members, access = nested, nested.Get("access_token").String()
		}
	}
	if access == "" || m.oauth.ErrorsInSuccess && errorCode(members) != "" {
		return Token{}, m.refusal(answer, members)
	}
	t := Token{
		Access: integration.NewSecret(access), Refresh: integration.NewSecret(members.Get("refresh_token").String()),
		ID: integration.NewSecret(members.Get("id_token").String()), Answer: m.keep(members),
	}
	t.Expires = m.expires(members, now)
	t.RefreshExpires = m.refreshExpires(members, now)
	t.Scopes = granted(members.Get("scope"), asked)
	t.Missing = without(asked, t.Scopes)
	return t, nil
}

// decode reads JSON, and forms from servers that do not know better.
func decode(answer Answer) (gjson.Result, bool) {
	if gjson.ValidBytes(answer.Body) {
		r := gjson.ParseBytes(answer.Body)
		return r, r.IsObject()
	}
	media, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if media != "application/x-www-form-urlencoded" && media != "text/plain" {
		return gjson.Result{}, false
	}
	form, err := url.ParseQuery(string(answer.Body))
	if err != nil || !form.Has("access_token") && !form.Has("error") {
		return gjson.Result{}, false
	}
	flat := make(map[string]string, len(form))
	for name := range form {
		flat[name] = form.Get(name)
	}
	body, err := json.Marshal(flat)
	return gjson.ParseBytes(body), err == nil
}

// member reads a member by its very name; where there is none, a dot in it leads
// into an object: team.id.
func member(members gjson.Result, name string) gjson.Result {
	told := members.Get(gjson.Escape(name))
	for !told.Exists() {
		outer, inner, ok := strings.Cut(name, ".")
		if !ok {
			break
		}
		members, name = members.Get(gjson.Escape(outer)), inner
		told = members.Get(gjson.Escape(name))
	}
	return told
}

// expires is when the access token ends.
func (m *Method) expires(members gjson.Result, now time.Time) time.Time {
	field, format := "expires_in", "seconds"
	if e := m.oauth.Expiry; e != nil && e.Field != "" {
		field = e.Field
		if e.Format != "" {
			format = e.Format
		}
	}
	if field == "-" {
		return time.Time{}
	}
	told := member(members, field)
	if !told.Exists() || told.Type == gjson.Null {
		if s := m.oauth.AccessSeconds; s > 0 && m.expiring(members) {
			return now.Add(time.Duration(s) * time.Second)
		}
		return time.Time{}
	}
	return moment(told, format, now)
}

// expiring reports whether a token whose answer says nothing of its end ends
// nevertheless, as the profile says. Where tokens end only for some apps, those
// that come without a refresh token are the others.
func (m *Method) expiring(members gjson.Result) bool {
	return m.oauth.Rotation != "sometimes" && (members.Get("refresh_token").String() != "" || m.Grant() != AuthorizationCode)
}

func (m *Method) refreshExpires(members gjson.Result, now time.Time) time.Time {
	field := "refresh_token_expires_in"
	if e := m.oauth.Expiry; e != nil && e.Refresh != "" {
		field = e.Refresh
	}
	if told := member(members, field); told.Exists() && told.Type != gjson.Null {
		return moment(told, "seconds", now)
	}
	if s := m.oauth.RefreshSeconds; s > 0 && members.Get("refresh_token").String() != "" {
		return now.Add(time.Duration(s) * time.Second)
	}
	return time.Time{}
}

// moment reads a time in one of the forms of catalog.TokenExpiry. Zero and less
// is how some say "never".
func moment(told gjson.Result, format string, now time.Time) time.Time {
	if format == "iso8601" {
		at, err := time.Parse(time.RFC3339, told.String())
		if err != nil {
			return time.Time{}
		}
		return at.UTC()
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(told.String()), 64)
	if err != nil || !(n > 0) { // not a number is not more than zero
		return time.Time{}
	}
	if format == "epoch_milliseconds" {
		n /= 1000
	}
	if format == "epoch_seconds" || format == "epoch_milliseconds" {
		n -= float64(now.UnixMilli()) / 1000
	}
	n = min(max(n, 0), farthest.Seconds())
	return now.Add(time.Duration(n * float64(time.Second)))
}

// granted are the scopes of an answer: text with any of the usual separators, or
// a list.
func granted(told gjson.Result, asked []string) []string {
	if told.IsArray() {
		var list []string
		for _, s := range told.Array() {
			list = append(list, s.String())
		}
		return list
	}
	if told.String() == "" {
		return append([]string(nil), asked...)
	}
	return strings.FieldsFunc(told.String(), func(r rune) bool { return r == ' ' || r == ',' || r == '+' })
}

func without(asked, have []string) []string {
	known := make(map[string]bool, len(have))
	for _, s := range have {
		known[strings.ToLower(s)] = true
	}
	var missing []string
	for _, s := range asked {
		// What brings the refresh token or the ID token is no right and often
		// not repeated.
		if !known[strings.ToLower(s)] && s != "openid" && !strings.HasPrefix(s, "offline") && s != "refresh_token" {
			missing = append(missing, s)
		}
	}
	return missing
}

// keep takes along what the profile asks to keep and what tells a variable.
func (m *Method) keep(members gjson.Result) map[string]string {
	kept := map[string]string{}
	take := func(name string) {
		if told := member(members, name); told.Exists() && len(told.String()) <= 4096 {
			kept[name] = told.String()
		}
	}
	for _, name := range m.oauth.Answer {
		take(name)
	}
	for _, v := range m.variables {
		if name, ok := strings.CutPrefix(v.From, "token:"); ok {
			take(name)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

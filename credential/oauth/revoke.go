package oauth

import (
	"context"
	"net/http"
	"net/url"

	"github.com/sallyport/sallyport/catalog"
)

// Revokes reports whether the provider takes tokens back. Where it does not, the
// tokens end by themselves, or when the person removes the app (R2.6).
func (m *Method) Revokes() bool { return m.oauth.RevokeURL != "" }

// RevokeRequest takes a grant back: as RFC 7009 says, or as the profile does.
func (m *Method) RevokeRequest(ctx context.Context, a Asker, t Token) (*http.Request, error) {
	how := catalog.Revocation{}
	if m.oauth.Revocation != nil {
		how = *m.oauth.Revocation
	}
	token, hint := t.Refresh, "refresh_token"
	if how.Revokes == "access" || token.IsZero() {
		token, hint = t.Access, "access_token"
	}
	u, err := m.address("auth.oauth.revoke_url", m.oauth.RevokeURL, a.Client, a.Values)
	if err != nil {
		return nil, err
	}
	header, form := http.Header{"Accept": {"application/json"}}, url.Values{}
	switch how.Token {
	case "bearer":
		header.Set("Authorization", "Bearer "+token.Reveal())
	case "":
		form.Set("token", token.Reveal())
		if m.oauth.Revocation == nil {
			form.Set("token_type_hint", hint)
		}
	default:
		form.Set(how.Token, token.Reveal())
	}
	if how.Token != "bearer" {
		if err := m.authenticateRevocation(header, form, a, how.Client, u); err != nil {
			return nil, err
		}
	}
	method := how.Method
	if method == "" {
		method = http.MethodPost
	}
	return build(ctx, method, u, header, form, how.Body)
}

func (m *Method) authenticateRevocation(header http.Header, form url.Values, a Asker, style string, at *url.URL) error {
	if style != "" && style != "none" && (a.Client.ID == "" || a.Client.Secret.IsZero()) {
		return errNoClient
	}
	switch style {
	case "":
		return m.authenticate(header, form, a, at)
	case "basic":
		setBasic(header, a.Client)
	case "header":
		header.Set("Authorization", "Client "+a.Client.Secret.Reveal())
		form.Set("client_id", a.Client.ID)
	case "post":
		form.Set(m.name("client_id"), a.Client.ID)
		form.Set(m.name("client_secret"), a.Client.Secret.Reveal())
	}
	return nil
}

// ReadRevocation is nil when the provider has taken the token back or says that
// it is not valid, which is the same (RFC 7009, section 2.2).
func (m *Method) ReadRevocation(answer Answer) error {
	members, _ := decode(answer)
	code := errorCode(members)
	if answer.Status >= 200 && answer.Status <= 299 {
		if !members.Get("ok").Exists() && code == "" || members.Get("ok").Bool() {
			return nil
		}
	}
	e := m.refusal(answer, members)
	if e.Reason == ReasonGrant && (code != "" || answer.Status == http.StatusNotFound || answer.Status == http.StatusUnauthorized) {
		return nil
	}
	if answer.Status == http.StatusNotFound || answer.Status == http.StatusGone {
		return nil
	}
	return e
}

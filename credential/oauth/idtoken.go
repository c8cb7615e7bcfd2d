package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Identity is what a checked ID token says of the person.
type Identity struct {
	Subject string
	Email   string // empty: not told
	Name    string // likewise
}

// OffersIDToken reports whether the profile says who signs ID tokens.
func (m *Method) OffersIDToken() bool { return m.oauth.Issuer != "" && m.oauth.KeysURL != "" }

// CheckIDToken checks the ID token of an answer (OpenID Connect Core, section
// 3.1.3.7): issuer, audience, signature, end and nonce. The provider's keys are
// fetched through client. It may be asked only where OffersIDToken.
func (m *Method) CheckIDToken(ctx context.Context, client *http.Client, a Asker, t Token, nonce string) (Identity, error) {
	if t.ID.IsZero() {
		return Identity{}, errors.New("the answer holds no ID token")
	}
	issuer, err := m.fill(m.oauth.Issuer, a.Client, a.Values)
	if err != nil {
		return Identity{}, fmt.Errorf("auth.oauth.issuer: %w", err)
	}
	keys, err := m.address("auth.oauth.keys_url", m.oauth.KeysURL, a.Client, a.Values)
	if err != nil {
		return Identity{}, err
	}
	set := oidc.NewRemoteKeySet(oidc.ClientContext(ctx, client), keys.String())
	verifier := oidc.NewVerifier(issuer, set, &oidc.Config{
		ClientID: a.Client.ID, Now: func() time.Time { return a.Now },
		SupportedSigningAlgs: []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.ES256, oidc.ES384, oidc.EdDSA},
	})
	checked, err := verifier.Verify(ctx, t.ID.Reveal())
	if err != nil {
		return Identity{}, fmt.Errorf("the ID token: %w", err)
	}
	if nonce != "" && subtle.ConstantTimeCompare([]byte(checked.Nonce), []byte(nonce)) != 1 {
		return Identity{}, errors.New("the ID token belongs to another authorisation: its nonce is not ours")
	}
	if checked.AccessTokenHash != "" {
		if err := checked.VerifyAccessToken(t.Access.Reveal()); err != nil {
			return Identity{}, errors.New("the ID token belongs to another access token")
		}
	}
	var claims struct {
		Email string `json:"email"`
		Name  string `json:"name"`
	}
	if err := checked.Claims(&claims); err != nil {
		return Identity{}, errors.New("the ID token's claims can't be read")
	}
	return Identity{Subject: checked.Subject, Email: line(claims.Email), Name: line(claims.Name)}, nil
}

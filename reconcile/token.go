package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// TokenStore keeps a renewed token with what is known of subscriptions.
type TokenStore interface {
	PutSubscription(ctx context.Context, s *integration.Subscription) error
	SubscriptionsOf(ctx context.Context, service, connection string) ([]integration.Subscription, error)
}

// TokenConfig is what a Token works with. Only Log may be nil: discarded then.
type TokenConfig struct {
	Service string
	Facts   *catalog.SubscriptionCredential
	Errors  *catalog.Errors // how the provider refuses
	// Secret is a secret of the environment; zero: it has none of that name.
	Secret func(name string) integration.Secret
	// Base is the API's base URL, and Transport asks there for a new token; no call
	// is recorded, for the answer is all secret.
	Base      *url.URL
	Transport http.RoundTripper
	Store     TokenStore
	Seal      func(ctx context.Context, secret integration.Secret) ([]byte, error)
	Open      func(ctx context.Context, sealed []byte) (integration.Secret, error)
	Now       func() time.Time
	Log       *slog.Logger
}

// Token is the credential for subscriptions alone: the environment's, or one that
// is renewed from the environment's refresh token. It is a call.Authorizer.
//
// A refresh token is used up by being used. What comes in its place is sealed and
// in the store before the new token is used, so a crash does not lose it; and one
// that a person puts into the environment begins anew.
type Token struct {
	config TokenConfig
	mu     sync.Mutex // one renewal at a time
	last   *call.Authorized
}

// NewToken makes a Token.
func NewToken(c TokenConfig) *Token {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Token{config: c}
}

// Given reports whether there is something to begin with.
func (t *Token) Given() bool {
	f := t.config.Facts
	return !t.config.Secret(f.Secret).IsZero() || f.Renew != nil && !t.config.Secret(f.Renew.Secret).IsZero()
}

// For returns the token in use, renewed if need be. The error is ErrCredential
// where only a person can help.
func (t *Token) For(ctx context.Context, _, _ string) (*call.Authorized, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	token, err := t.token(ctx)
	if err != nil {
		return nil, err
	}
	return t.authorized(token), nil
}

func (t *Token) authorized(token integration.Secret) *call.Authorized {
	if t.last == nil || t.last.Secret != token {
		t.last = &call.Authorized{Secret: token, Apply: func(r *http.Request) (string, error) {
			r.Header.Set("Authorization", "Bearer "+token.Reveal())
			return token.Fingerprint(), nil
		}}
	}
	return t.last
}

// Refused renews a token before its time; one of the environment stays what it is.
func (t *Token) Refused(ctx context.Context, a *call.Authorized) (*call.Authorized, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	renew := t.config.Facts.Renew
	if renew == nil || t.config.Secret(renew.Secret).IsZero() {
		return nil, nil //nolint:nilnil // there is no other
	}
	first := t.config.Secret(renew.Secret)
	had, err := t.kept(ctx, first)
	if err != nil || had.Token == "" {
		return nil, err
	}
	if token := integration.NewSecret(had.Token); token != a.Secret { // it was renewed meanwhile
		return t.authorized(token), nil
	}
	token, err := t.renewPair(ctx, first, had)
	if err != nil {
		return nil, err
	}
	return t.authorized(token), nil
}

// StillRefused does nothing: the state of the subscription tells.
func (*Token) StillRefused(context.Context, *call.Authorized) error { return nil }

// token is the token in use.
func (t *Token) token(ctx context.Context) (integration.Secret, error) {
	f := t.config.Facts
	plain, first := t.config.Secret(f.Secret), integration.Secret{}
	if f.Renew != nil {
		first = t.config.Secret(f.Renew.Secret)
	}
	switch {
	case first.IsZero() && plain.IsZero():
		return plain, fmt.Errorf("%w: there is none; %s, and give it as the secret %s", ErrCredential, f.New, f.Secret)
	case first.IsZero():
		return plain, nil
	}
	token, err := t.renewed(ctx, first)
	if errors.Is(err, ErrCredential) && !plain.IsZero() {
		t.config.Log.WarnContext(ctx, "subscription.token", "service", t.config.Service, "error", err, "meanwhile", "the secret "+f.Secret+" is used")
		return plain, nil
	}
	return token, err
}

// pair is a token with what the next one is made of. Refresh may be empty: then
// it is the environment's.
type pair struct {
	Token   string `json:"token"`
	Refresh string `json:"refresh"`
	expires time.Time
}

// renewEarly is how long before its end a token is made anew.
const renewEarly = 10 * time.Minute

// renewed is the token that was made, at some time or now, of the refresh token
// that the environment has.
func (t *Token) renewed(ctx context.Context, first integration.Secret) (integration.Secret, error) {
	had, err := t.kept(ctx, first)
	if err != nil {
		return integration.Secret{}, err
	}
	if had.expires.Add(-renewEarly).After(t.config.Now()) {
		return integration.NewSecret(had.Token), nil
	}
	return t.renewPair(ctx, first, had)
}

// renewPair makes a new token, and keeps what comes with it.
func (t *Token) renewPair(ctx context.Context, first integration.Secret, had pair) (integration.Secret, error) {
	// That a pair can be sealed has to be known before the old one is used up.
	if _, err := t.config.Seal(ctx, first); err != nil {
		return integration.Secret{}, fmt.Errorf("%w: %s can't be kept: %w", ErrCredential, t.config.Facts.Renew.Secret, err)
	}
	refresh := first
	if had.Refresh != "" {
		refresh = integration.NewSecret(had.Refresh)
	}
	// From here on it is finished whatever becomes of the caller.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), renewWithin, errors.New("the provider took too long to renew the token"))
	defer cancel()
	next, err := t.renew(ctx, refresh)
	if errors.Is(err, ErrCredential) { // another instance may have been faster
		if now, again := t.kept(ctx, first); again == nil && now.Token != had.Token && now.expires.After(t.config.Now()) {
			return integration.NewSecret(now.Token), nil
		}
	}
	if err != nil {
		return integration.Secret{}, err
	}
	if err := t.keep(ctx, first, &next); err != nil {
		return integration.Secret{}, fmt.Errorf("the new token could not be kept, so it is not used: %w", err)
	}
	t.config.Log.InfoContext(ctx, "subscription.token_renewed", "service", t.config.Service, "expires_at", next.expires)
	return integration.NewSecret(next.Token), nil
}

// TokenService is the name under which the token of a service is kept among the
// subscriptions. No service can have such a name.
func TokenService(service string) string { return "token/" + service }

const tokenFrom = "from" // key of the fingerprint of the environment's refresh token

// kept is what was made of a refresh token of the environment; zero: nothing so
// far.
func (t *Token) kept(ctx context.Context, first integration.Secret) (p pair, err error) {
	rows, err := t.config.Store.SubscriptionsOf(ctx, TokenService(t.config.Service), "")
	if err != nil {
		return p, err
	}
	i := slices.IndexFunc(rows, func(r integration.Subscription) bool { return r.ExternalID == t.config.Facts.Renew.Secret })
	if i < 0 || rows[i].Extra[tokenFrom] != first.Fingerprint() {
		return p, nil
	}
	secret, err := t.config.Open(ctx, rows[i].Sealed)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(secret.Reveal()), &p); err != nil {
		return pair{}, errors.New("what is kept of the token can't be read") // the error would show it
	}
	p.expires = rows[i].ExpiresAt
	return p, nil
}

func (t *Token) keep(ctx context.Context, first integration.Secret, p *pair) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	sealed, err := t.config.Seal(ctx, integration.NewSecret(string(text)))
	if err != nil {
		return err
	}
	now := t.config.Now().UTC()
	return t.config.Store.PutSubscription(ctx, &integration.Subscription{
		Service: TokenService(t.config.Service), ExternalID: t.config.Facts.Renew.Secret, State: "enabled", CreatedAt: now, CheckedAt: now,
		ExpiresAt: p.expires.UTC(), Extra: map[string]string{tokenFrom: first.Fingerprint()}, Sealed: sealed,
	})
}

// Bounds on a renewal.
const (
	renewWithin = 20 * time.Second
	maxRenewal  = 64 << 10
)

// renew uses a refresh token up.
func (t *Token) renew(ctx context.Context, refresh integration.Secret) (p pair, err error) {
	f := t.config.Facts.Renew
	method, path := f.Parts()
	body := url.Values{f.Field: {refresh.Reveal()}}.Encode()
	r, err := http.NewRequestWithContext(ctx, method, t.config.Base.JoinPath(path).String(), strings.NewReader(body))
	if err != nil {
		return p, err
	}
	r.GetBody = nil // it is good for one time
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	resp, err := t.config.Transport.RoundTrip(r)
	if err != nil {
		return p, fmt.Errorf("%s: %w", f.Call, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxRenewal))
	if err != nil {
		return p, fmt.Errorf("%s: %w", f.Call, err)
	}
	p = pair{Token: gjson.GetBytes(answer, f.Token).String(), Refresh: gjson.GetBytes(answer, f.Next).String()}
	p.expires = readTime("unix_s", plain(gjson.GetBytes(answer, f.Expires)))
	if resp.StatusCode/100 == 2 && p.Token != "" && p.Refresh != "" && !p.expires.IsZero() {
		return p, nil
	}
	code := strings.ReplaceAll(gjson.GetBytes(answer, t.config.Errors.CodePath).String(), refresh.Reveal(), "…")
	if resp.StatusCode/100 == 5 || resp.StatusCode == http.StatusTooManyRequests || t.passing(code) {
		return pair{}, fmt.Errorf("%s: the provider answered %d %.100s", f.Call, resp.StatusCode, code)
	}
	return pair{}, fmt.Errorf("%w: %s was answered %d %.100s; %s, and give its refresh token as the secret %s", ErrCredential, f.Call, resp.StatusCode, code, t.config.Facts.New, f.Secret)
}

// passing reports whether a refusal is about the moment and not the token.
func (t *Token) passing(code string) bool {
	return slices.ContainsFunc(t.config.Errors.Meanings, func(m catalog.MeaningRule) bool {
		return slices.Contains(m.Codes, code) && (m.Class == string(integration.ClassLimited) || m.Class == string(integration.ClassUnavailable))
	})
}

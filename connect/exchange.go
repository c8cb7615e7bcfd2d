package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/credential"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
)

// errUnanswered: the provider did not answer a request, or not in whole. It may
// have acted upon it.
var errUnanswered = errors.New("the provider did not answer")

// ask sends a request and reads its answer in whole.
func (s *Connections) ask(ctx context.Context, one *service, r *http.Request) (oauth.Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.RequestTimeout, fmt.Errorf("no answer within %s", s.RequestTimeout))
	defer cancel()
	response, err := one.http.Do(r.WithContext(ctx))
	if err != nil {
		return oauth.Answer{}, fmt.Errorf("%w: %s", errUnanswered, why(ctx, err))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, oauth.MaxAnswer+1))
	if err != nil || len(body) > oauth.MaxAnswer {
		return oauth.Answer{}, fmt.Errorf("%w: its answer broke off or is too large", errUnanswered)
	}
	return oauth.Answer{Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

// why says what failed without the address: some carry secrets in the query.
func why(ctx context.Context, err error) string {
	if cause := context.Cause(ctx); cause != nil {
		return cause.Error()
	}
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err.Error()
	}
	return err.Error()
}

// learn finds out what a new token tells about the account: variables from the
// answer, from the callback and from calls of their own.
func (s *Connections) learn(ctx context.Context, one *service, token oauth.Token, callback url.Values, known map[string]string) (map[string]string, error) {
	values := map[string]string{}
	maps.Copy(values, known)
	learnt, err := one.method.Learn(token, callback)
	if err != nil {
		return nil, err
	}
	maps.Copy(values, learnt)
	needed := variablesIn(append(mapValues(one.Auth.Headers), one.BaseURL)...)
	for _, name := range needed {
		v := one.Variables[name]
		if values[name] != "" || v.Ask == nil {
			continue
		}
		value, err := s.lookup(ctx, one, name, v, token, values)
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	return values, nil
}

func (s *Connections) lookup(ctx context.Context, one *service, name string, v catalog.Variable, token oauth.Token, values map[string]string) (string, error) {
	address, err := oauth.Fill(one.Variables, v.Ask.URL, values)
	if err != nil {
		return "", err
	}
	if address, err = one.moved(address); err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("{%s}: the profile's address can't be asked", name)
	}
	r.Header.Set("Accept", "application/json")
	auth := one.Auth
	auth.Headers = nil // they may need what is being asked for
	applier, err := credential.Compile(auth)
	if err != nil {
		return "", err
	}
	if _, err := applier.Apply(r, token.Access); err != nil {
		return "", err
	}
	answer, err := s.ask(ctx, one, r)
	if err != nil {
		return "", fmt.Errorf("{%s}: %w", name, err)
	}
	if answer.Status < 200 || answer.Status > 299 {
		return "", fmt.Errorf("{%s}: the provider answered %d to the call that should tell it", name, answer.Status)
	}
	return oauth.Lookup(name, v, answer.Body)
}

// moved leads an address to the stand-in, where there is one.
func (s *service) moved(address string) (string, error) {
	if s.StandIn == "" {
		return address, nil
	}
	u, err := url.Parse(address)
	base, baseErr := url.Parse(s.StandIn)
	if err = errors.Join(err, baseErr); err != nil {
		return "", err
	}
	u.Scheme, u.Host = base.Scheme, base.Host
	return u.String(), nil
}

// take puts a token into a change: its secrets, its times, what it grants, and
// when it is to be renewed.
func (s *Connections) take(ctx context.Context, ch *change, one *service, token oauth.Token, old integration.Secret) error {
	c := &ch.Connection
	c.ExpiresAt, c.Scopes = token.Expires, token.Scopes
	if err := s.put(ctx, ch, fieldAccess, token.Access, token.Expires); err != nil {
		return err
	}
	if !token.Refresh.IsZero() {
		c.RenewBefore = token.RefreshExpires
		if err := s.put(ctx, ch, fieldRefresh, token.Refresh, token.RefreshExpires); err != nil {
			return err
		}
		if grace := one.method.Facts().GraceSeconds; grace > 0 && !old.IsZero() && old != token.Refresh {
			if err := s.put(ctx, ch, fieldPrevious, old, s.Now().Add(time.Duration(grace)*time.Second)); err != nil {
				return err
			}
		}
	}
	reason := fewer(token.Missing)
	if reason == "" && !old.IsZero() && c.State == integration.ConnectionConnected {
		reason = c.Reason // what was granted at first still holds
	}
	ch.to(integration.ConnectionConnected, reason)
	renewable := !token.Refresh.IsZero() || !old.IsZero() || one.method.Grant() != oauth.AuthorizationCode
	ch.due(s.nextRenewal(c, renewable, !token.Refresh.IsZero()))
	c.Attempts = 0
	return nil
}

// fewer says that less was granted than was asked for; empty when all was.
func fewer(missing []string) string {
	if len(missing) == 0 {
		return ""
	}
	return "the provider granted less than was asked for; missing: " + strings.Join(missing, " ")
}

// nextRenewal says when a token is renewed by itself: some of its life before
// it ends, spread so that those of one morning don't come all at once. Where the
// refresh token ends when it is not used, well before that too; extends says that
// using it brings a new one.
func (s *Connections) nextRenewal(c *integration.Connection, renewable, extends bool) (integration.ConnectionTask, time.Time) {
	if !renewable {
		return integration.TaskNone, time.Time{}
	}
	now := s.Now()
	var at time.Time
	task := integration.TaskRefresh
	if !c.ExpiresAt.IsZero() {
		at = c.ExpiresAt.Add(-ahead(c.ExpiresAt.Sub(now), s.Dice()))
	}
	if extends && c.RenewBefore.After(now) {
		life := c.RenewBefore.Sub(now)
		keep := c.RenewBefore.Add(-life / 5).Add(-time.Duration(s.Dice() * float64(life/10)))
		if at.IsZero() || keep.Before(at) {
			at, task = keep, integration.TaskKeepAlive
		}
	}
	if at.IsZero() {
		return integration.TaskNone, at
	}
	if soonest := now.Add(time.Second); at.Before(soonest) {
		at = soonest
	}
	return task, at
}

// ahead is how long before its end a token is renewed: a fifth to three tenths
// of its life, at least a minute where it lives long enough, at most an hour and
// a half.
func ahead(life time.Duration, dice float64) time.Duration {
	lead := min(max(life/5, time.Minute), time.Hour)
	lead += time.Duration(dice * float64(lead) / 2)
	return min(lead, life/2)
}

// variablesIn lists the {names} in texts, each once, in order.
func variablesIn(texts ...string) []string {
	var found []string
	for _, text := range texts {
		for rest := text; ; {
			_, after, ok := strings.Cut(rest, "{")
			name, tail, closed := strings.Cut(after, "}")
			if !ok || !closed {
				break
			}
			if !slices.Contains(found, name) {
				found = append(found, name)
			}
			rest = tail
		}
	}
	slices.Sort(found)
	return found
}

func mapValues(m map[string]string) []string { return slices.Sorted(maps.Values(m)) }

// Unanswered reports whether an error means that the provider did not answer.
func Unanswered(err error) bool { return errors.Is(err, errUnanswered) }

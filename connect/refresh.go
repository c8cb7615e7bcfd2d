package connect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
)

// The named steps of a renewal, for Config.Step.
const (
	StepLeased   = "leased"   // the right to renew is ours
	StepIntended = "intended" // what is about to be asked is written down
	StepAnswered = "answered" // the provider has answered
	StepKept     = "kept"     // the answer is kept; the old token is not used any more
)

// How long the right to renew lasts: longer than a request may take, and what
// follows it.
const leaseMargin = 20 * time.Second

// waitFirst and waitMost bound the waits for another process that renews.
const (
	waitFirst = 10 * time.Millisecond
	waitMost  = 250 * time.Millisecond
)

// refresh renews a connection's token, unless it is another than stale already.
// It returns when the store holds a token that can be used, or with the reason
// why it does not.
func (s *Connections) refresh(ctx context.Context, one *service, id, stale string, forced bool) error {
	began := s.Now()
	for wait := waitFirst; ; wait = min(2*wait, waitMost) {
		now := s.Now()
		lease, ok, err := s.Store.AcquireRefresh(ctx, id, s.Owner, now, now.Add(s.RequestTimeout+leaseMargin))
		if err != nil {
			return err
		}
		if ok {
			s.Step(StepLeased)
			return s.renewUnder(ctx, one, lease, stale, forced)
		}
		// Another has it. What it brings is ours as well.
		c, sealed, err := s.Store.Connection(ctx, id)
		if err != nil {
			return err
		}
		if !c.State.Usable() {
			return &StateError{Connection: c.ID, State: c.State, Reason: c.Reason}
		}
		if current := fingerprint(sealed, one); current != stale {
			return nil
		}
		if now.Sub(began) > 2*(s.RequestTimeout+leaseMargin) {
			return fmt.Errorf("connection %s: another process renews it and does not come to an end", id)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// renewal is one renewal under a lease.
type renewal struct {
	s      *Connections
	one    *service
	lease  integration.RefreshLease
	c      integration.Connection
	opened map[string]integration.Secret
	used   integration.Secret // what is handed in
}

func (s *Connections) renewUnder(ctx context.Context, one *service, lease integration.RefreshLease, stale string, forced bool) error {
	r := &renewal{s: s, one: one, lease: lease}
	done, err := r.read(ctx, stale, forced)
	if done || err != nil {
		settled := lease.Intent == nil
		return errors.Join(err, r.release(ctx, settled))
	}
	fingerprint := r.used.Fingerprint()
	if err := s.Store.IntendRefresh(ctx, lease, fingerprint, s.Now()); err != nil {
		return errors.Join(err, r.release(ctx, lease.Intent == nil))
	}
	s.Step(StepIntended)
	token, err := r.ask(ctx, r.used)
	s.Step(StepAnswered)
	if err != nil {
		token, err = r.askBefore(ctx, err)
	}
	if err != nil {
		s.Renewed(one.Name, err)
		return r.failed(ctx, err)
	}
	err = r.keep(ctx, token)
	s.Renewed(one.Name, err)
	if err != nil {
		return err
	}
	s.Step(StepKept)
	return nil
}

// read reads the connection again, now that nobody else renews it. done says
// that there is nothing to do.
func (r *renewal) read(ctx context.Context, stale string, forced bool) (done bool, err error) {
	c, sealed, err := r.s.Store.Connection(ctx, r.lease.Connection)
	if err != nil {
		return false, err
	}
	if !c.State.Usable() {
		return true, &StateError{Connection: c.ID, State: c.State, Reason: c.Reason}
	}
	current := fingerprint(sealed, r.one)
	if stale != "" && current != stale {
		return true, nil
	}
	if !forced && !c.ExpiresAt.IsZero() && r.s.Now().Add(ahead(c.ExpiresAt.Sub(c.UpdatedAt), 1)).Before(c.ExpiresAt) {
		return true, nil
	}
	if r.opened, err = r.s.open(ctx, &c, sealed); err != nil {
		return false, err
	}
	r.opened = r.one.with(r.opened)
	r.c, r.used = c, r.opened[fieldRefresh]
	if r.one.method.Grant() == oauth.AuthorizationCode && r.used.IsZero() {
		return true, fmt.Errorf("connection %s: there is no refresh token to renew it with", c.ID)
	}
	return false, nil
}

// release gives the lease back. That it was lost meanwhile changes nothing.
func (r *renewal) release(ctx context.Context, settled bool) error {
	err := r.s.Store.ReleaseRefresh(ctx, r.lease, settled)
	if errors.Is(err, integration.ErrFenced) {
		return nil
	}
	return err
}

// ask asks the provider for a new token.
func (r *renewal) ask(ctx context.Context, refresh integration.Secret) (oauth.Token, error) {
	now := r.s.Now()
	asker := r.one.asker(r.c.Variables, r.opened, now)
	if r.one.method.Grant() == oauth.SelfSigned {
		return r.one.method.Sign(asker, r.one.own(r.c.Scopes, r.opened))
	}
	request, err := r.one.method.RefreshRequest(ctx, asker, refresh)
	if r.one.method.Grant() != oauth.AuthorizationCode {
		request, err = r.one.method.OwnRequest(ctx, asker, r.one.own(r.c.Scopes, r.opened))
	}
	if err != nil {
		return oauth.Token{}, err
	}
	answer, err := r.s.ask(ctx, r.one, request)
	if err != nil {
		return oauth.Token{}, err
	}
	return r.one.method.ReadToken(answer, r.c.Scopes, r.s.Now())
}

// askBefore tries the refresh token before the present one where the provider
// lets it live for a while: the answer that brought the present one may never
// have been final there.
func (r *renewal) askBefore(ctx context.Context, refused error) (oauth.Token, error) {
	var no *oauth.Error
	before := r.opened[fieldPrevious]
	if !errors.As(refused, &no) || no.Reason != oauth.ReasonGrant || before.IsZero() || before == r.used || r.one.method.Facts().GraceSeconds == 0 {
		return oauth.Token{}, refused
	}
	token, err := r.ask(ctx, before)
	if err != nil {
		return oauth.Token{}, refused
	}
	return token, nil
}

// keepFor bounds how long a token that was given to us is tried to be kept while
// the store fails.
const keepFor = 30 * time.Second

// keep writes the answer down before anybody uses it. The token exists nowhere
// else: a store that is away is asked again, and a lease that was lost is taken
// again as long as nobody else renewed meanwhile.
func (r *renewal) keep(ctx context.Context, token oauth.Token) error {
	ctx, cancel := context.WithTimeout(ctx, keepFor)
	defer cancel()
	for wait := waitFirst; ; wait = min(2*wait, time.Second) {
		err := r.keepOnce(ctx, token)
		if err == nil {
			return nil
		}
		var state *StateError
		switch {
		case errors.As(err, &state):
			return err
		case errors.Is(err, integration.ErrFenced):
			over, again := r.again(ctx, token)
			if over {
				return again
			}
		}
		select {
		case <-ctx.Done():
			r.s.Log.ErrorContext(ctx, "connection.token_not_kept", "alert", true, "connection", r.c.ID, "service", r.c.Service, "error", err)
			return fmt.Errorf("connection %s: the provider gave a new token and it could not be kept: %w", r.c.ID, err)
		case <-time.After(wait):
		}
	}
}

func (r *renewal) keepOnce(ctx context.Context, token oauth.Token) error {
	ch := r.s.changing(r.c, ActorMachine)
	old := r.used
	if err := r.s.take(ctx, ch, r.one, token, old); err != nil {
		return err
	}
	r.s.finish(ch, "")
	if err := r.s.Store.CompleteRefresh(ctx, r.lease, ch.ConnectionChange); err != nil {
		return err
	}
	r.s.tell(ctx, ch)
	if !ch.Connection.DueAt.IsZero() {
		r.s.Wake()
	}
	return nil
}

// again finds out why the answer was not taken. over says that there is nothing
// more to do.
func (r *renewal) again(ctx context.Context, token oauth.Token) (over bool, err error) {
	c, sealed, err := r.s.Store.Connection(ctx, r.c.ID)
	if err != nil {
		return false, err
	}
	opened, err := r.s.open(ctx, &c, sealed)
	if err != nil {
		return false, err
	}
	if !c.State.Usable() {
		r.c = c
		return true, r.endedMeanwhile(ctx, token)
	}
	if r.one.method.Grant() == oauth.AuthorizationCode && opened[fieldRefresh] != r.used {
		return true, nil // connected anew, or renewed by who took over
	}
	now := r.s.Now()
	lease, ok, err := r.s.Store.AcquireRefresh(ctx, c.ID, r.s.Owner, now, now.Add(leaseMargin))
	if errors.Is(err, integration.ErrNotFound) {
		return true, err
	}
	if err == nil && ok {
		r.lease = lease
	}
	r.c, r.opened = c, r.one.with(opened)
	return false, nil
}

// endedMeanwhile hands a token that came for a connection that was ended to who
// revokes it.
func (r *renewal) endedMeanwhile(ctx context.Context, token oauth.Token) error {
	state := &StateError{Connection: r.c.ID, State: r.c.State, Reason: r.c.Reason}
	if r.c.State != integration.ConnectionDisconnected || !r.one.method.Revokes() {
		return state
	}
	ch := r.s.changing(r.c, ActorMachine)
	if err := r.s.put(ctx, ch, fieldAccess, token.Access, token.Expires); err != nil {
		return errors.Join(state, err)
	}
	if !token.Refresh.IsZero() {
		if err := r.s.put(ctx, ch, fieldRefresh, token.Refresh, token.RefreshExpires); err != nil {
			return errors.Join(state, err)
		}
	}
	ch.due(integration.TaskRevoke, r.s.Now())
	return errors.Join(state, r.s.write(ctx, ch, "connection.revoke_again"))
}

// failed decides what a renewal that did not come to a token means.
func (r *renewal) failed(ctx context.Context, why error) error {
	var no *oauth.Error
	if !errors.As(why, &no) {
		return r.later(ctx, why, 0, false)
	}
	switch no.Reason {
	case oauth.ReasonGrant, oauth.ReasonDenied:
		return r.dead(ctx, no)
	case oauth.ReasonClient:
		if !r.opened[fieldID].IsZero() { // the app is the tenant's own
			return r.dead(ctx, no)
		}
		r.s.Log.ErrorContext(ctx, "connection.app_refused", "alert", true, "service", r.c.Service, "connection", r.c.ID, "error", no)
		return r.later(ctx, fmt.Errorf("the provider refuses the app itself, not the tenant: %w", no), 10*time.Minute, true)
	}
	return r.later(ctx, why, no.Wait, no.Status == 429)
}

// dead is for a grant that the provider refuses. Who held the lease before may
// have been slower than its lease and have kept the new token just now, so it is
// looked at once more (R2.4).
func (r *renewal) dead(ctx context.Context, no *oauth.Error) error {
	c, sealed, err := r.s.Store.Connection(ctx, r.c.ID)
	if err != nil {
		return errors.Join(no, err)
	}
	if !c.State.Usable() { // it was ended while the provider was asked
		return errors.Join(&StateError{Connection: c.ID, State: c.State, Reason: c.Reason}, r.release(ctx, true))
	}
	for i := range sealed {
		if sealed[i].Field == fieldRefresh && sealed[i].Fingerprint != r.used.Fingerprint() {
			return r.release(ctx, true)
		}
	}
	reason := "the provider does not take its refresh token any more (" + no.Error() + "); the tenant has to connect again"
	if r.lease.Intent != nil && r.lease.Intent.Fingerprint == r.used.Fingerprint() {
		reason = "a process ended between the provider's answer and keeping it, and the provider does not take the token before it (" +
			no.Error() + "); the tenant has to connect again"
	}
	if r.one.method.Grant() != oauth.AuthorizationCode {
		reason = "the provider refuses its credential (" + no.Error() + "); the tenant has to give a new one"
	}
	if r.one.Own != nil {
		reason = "the provider refuses the plan's credential (" + no.Error() + "); put a working one into the plan's secrets, and the next call asks again"
	}
	ch := r.s.changing(c, ActorMachine)
	ch.to(integration.ConnectionNeedsReauth, reason)
	ch.due(integration.TaskNone, time.Time{})
	r.s.finish(ch, "")
	if err := r.s.Store.CompleteRefresh(ctx, r.lease, ch.ConnectionChange); err != nil {
		return errors.Join(no, err)
	}
	r.s.tell(ctx, ch)
	return &StateError{Connection: c.ID, State: ch.Connection.State, Reason: reason}
}

// later is for a provider that could not answer: the token in use goes on to be
// used while it lasts. settled says that the provider certainly did nothing.
func (r *renewal) later(ctx context.Context, why error, wait time.Duration, settled bool) error {
	ch := r.s.changing(r.c, ActorMachine)
	ch.Connection.Attempts++
	at := r.s.Now().Add(max(wait, backoff(ch.Connection.Attempts, r.s.Dice())))
	attempts := ch.Connection.Attempts
	ch.due(integration.TaskRefresh, at)
	ch.Connection.Attempts = attempts
	if soon := r.c.ExpiresAt; r.c.State == integration.ConnectionExpiring || !soon.IsZero() && at.After(soon.Add(-skew)) || attempts >= 3 {
		ch.to(integration.ConnectionExpiring, "its token could not be renewed so far: "+why.Error())
	}
	err := r.s.write(ctx, ch, "")
	if errors.Is(err, integration.ErrFenced) {
		err = nil
	}
	return errors.Join(why, err, r.release(ctx, settled))
}

// backoff is how long to wait after so many failures: 5 seconds, twice as long
// each time, 10 minutes at most, give or take a fifth.
func backoff(failures int, dice float64) time.Duration {
	wait := 10 * time.Minute
	if failures < 8 {
		wait = min(wait, 5*time.Second<<max(failures-1, 0))
	}
	return time.Duration(float64(wait) * (0.8 + 0.4*dice))
}

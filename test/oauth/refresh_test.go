package oauth_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/sandbox"
)

var rounds = flag.Int("rounds", 5, "how many times the stampede on an expired token is run")

// R2.4, R4.2: four instances, fifty callers each, an expired token, a provider
// that ends the whole family when a refresh token is used twice: exactly one
// refresh, no call fails.
func TestStampede(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	id := s.connect("acme", nil)
	instances := make([]*connect.Connections, 4)
	for i := range instances {
		instances[i] = s.instance(fmt.Sprintf("instance-%d", i), nil)
	}
	for round := range *rounds {
		s.clock.Add(time.Hour)
		before := s.server.Counts()
		var wg sync.WaitGroup
		tokens := make(chan string, 200)
		for _, c := range instances {
			for range 50 {
				wg.Go(func() {
					got, err := c.For(t.Context(), "svc", "acme", "")
					if err != nil {
						t.Errorf("round %d: %v", round, err)
						return
					}
					tokens <- got.Secret.Reveal()
				})
			}
		}
		wg.Wait()
		close(tokens)
		for token := range tokens {
			if !s.server.Live(token) {
				t.Fatalf("round %d: a caller got a token that does not work", round)
			}
		}
		after := s.server.Counts()
		if after.Refreshes-before.Refreshes != 1 || after.Reuses != 0 {
			t.Fatalf("round %d: %d refreshes, %d reuses", round, after.Refreshes-before.Refreshes, after.Reuses)
		}
	}
	if c := s.connection(id); c.State != integration.ConnectionConnected {
		t.Errorf("%s: %s", c.State, c.Reason)
	}
	s.secretless()
}

// R4.2: a 401 is answered with one refresh for all callers; a second one
// disconnects, tells whom it concerns, and connecting again tells that too.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	id := s.connect("acme", nil)
	first, err := s.For(t.Context(), "svc", "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			again, err := s.Refused(t.Context(), first)
			if err != nil || again.Fingerprint == first.Fingerprint {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if n := s.server.Counts(); n.Refreshes != 1 {
		t.Errorf("%d refreshes", n.Refreshes)
	}
	second, err := s.For(t.Context(), "svc", "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	var state *connect.StateError
	if err := s.StillRefused(t.Context(), second); !errors.As(err, &state) || state.State != integration.ConnectionDisconnected {
		t.Fatalf("%v", err)
	}
	if _, err := s.For(t.Context(), "svc", "acme", ""); !errors.As(err, &state) || state.Connection != id {
		t.Errorf("%v", err)
	}
	standing, err := s.Status(t.Context(), "svc", "acme")
	if err != nil || len(standing) != 1 || !strings.HasPrefix(standing[0].Reconnect, public+connect.PagePath) || standing[0].Reason == "" {
		t.Fatalf("%+v %v", standing, err)
	}
	if again, err := s.Status(t.Context(), "svc", "acme"); err != nil || again[0].Reconnect != standing[0].Reconnect {
		t.Errorf("each look makes another address: %v", err)
	}
	if s.connect("acme", nil) != id {
		t.Error("connecting again changed the id")
	}
	for _, want := range []string{"connection.disconnected alert=true", "connection.connected alert=true"} {
		if !strings.Contains(s.logged(), want) {
			t.Errorf("the log does not tell %q:\n%s", want, s.logged())
		}
	}
	events, _, err := s.store.Events(t.Context(), integration.Filter{Service: "svc"})
	if err != nil || len(events) != 3 { // connected, disconnected, connected
		t.Fatalf("%d events: %v", len(events), err)
	}
	for _, e := range events {
		if to, ok := e.Destination(); !ok || to != "app" || e.Type != integration.EventConnection {
			t.Errorf("%+v", e)
		}
	}
	entries, _, err := s.store.AuditLog(t.Context(), integration.Filter{})
	if err != nil || len(entries) < 3 {
		t.Errorf("%d lines in the audit log: %v", len(entries), err)
	}
}

// crash makes an instance die at a step.
type crash struct{ step string }

func (c crash) at(step string) {
	if step == c.step {
		panic("killed at " + step)
	}
}

// R2.4: a process dies at each named step of a renewal. The connection lives or
// says that it needs a person; it is never left as neither.
func TestCrashAtEachStep(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{"zoom", "xero", "google"} { // rotates at once, with grace, not at all
		for _, step := range []string{connect.StepLeased, connect.StepIntended, connect.StepAnswered, connect.StepKept} {
			t.Run(provider+" "+step, func(t *testing.T) {
				t.Parallel()
				s := sandboxStage(t, provider)
				id := s.connect("acme", map[string]string{})
				s.clock.Add(time.Hour)
				if _, err := s.instance("doomed", crash{step}.at).For(t.Context(), "svc", "acme", ""); err == nil {
					t.Fatal("it did not die")
				}
				s.clock.Add(time.Minute) // its lease runs out
				got, err := s.instance("next", nil).For(t.Context(), "svc", "acme", "")
				lost := step == connect.StepAnswered && provider == "zoom"
				var state *connect.StateError
				switch {
				case lost && (!errors.As(err, &state) || state.State != integration.ConnectionNeedsReauth || !strings.Contains(state.Reason, "a process ended")):
					t.Errorf("a token was lost and nobody is told: %v", err)
				case !lost && (err != nil || !s.server.Live(got.Secret.Reveal())):
					t.Errorf("%v; %v", err, s.server.Refused())
				}
				if c := s.connection(id); lost != (c.State == integration.ConnectionNeedsReauth) {
					t.Errorf("%s: %s", c.State, c.Reason)
				}
				if lost && !strings.Contains(s.logged(), "connection.needs_reauth alert=true") {
					t.Errorf("nobody is alerted:\n%s", s.logged())
				}
				s.secretless()
			})
		}
	}
}

// R2.4: who lost its lease because it was too slow, and got the tokens all the
// same, does not undo what its successor wrote.
func TestSlowHolderIsFencedOff(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "xero") // the old refresh token works for 30 minutes
	s.connect("acme", nil)
	s.clock.Add(time.Hour)
	stuck, went := make(chan struct{}), make(chan struct{})
	var once sync.Once
	slow := s.instance("slow", func(step string) {
		if step == connect.StepAnswered {
			once.Do(func() { close(stuck); <-went })
		}
	})
	done := make(chan error, 1)
	go func() {
		_, err := slow.For(context.WithoutCancel(t.Context()), "svc", "acme", "")
		done <- err
	}()
	<-stuck
	s.clock.Add(2 * time.Minute) // its lease runs out while it stands still
	fast, err := s.instance("fast", nil).For(t.Context(), "svc", "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	close(went)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	kept, err := s.instance("third", nil).For(t.Context(), "svc", "acme", "")
	if err != nil || kept.Fingerprint != fast.Fingerprint {
		t.Errorf("the successor's token was overwritten: %v", err)
	}
}

// A provider that is away does not end a connection: what there is goes on, the
// state says so, and it recovers by itself.
func TestProviderDown(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	id := s.connect("acme", nil)
	s.server.SetMood(sandbox.OAuthMood{Status: 503})
	s.clock.Add(50 * time.Minute)
	if got, err := s.For(t.Context(), "svc", "acme", ""); err != nil || !s.server.Live(got.Secret.Reveal()) {
		t.Fatalf("the token that still works is not used: %v", err)
	}
	s.clock.Add(20 * time.Minute)
	_, err := s.instance("two", nil).For(t.Context(), "svc", "acme", "")
	var state *connect.StateError
	if err == nil || errors.As(err, &state) {
		t.Fatalf("%v", err)
	}
	if c := s.connection(id); c.State != integration.ConnectionExpiring || c.Task != integration.TaskRefresh || c.DueAt.IsZero() {
		t.Errorf("%s %s %v", c.State, c.Task, c.DueAt)
	}
	s.server.SetMood(sandbox.OAuthMood{})
	if _, err := s.instance("three", nil).For(t.Context(), "svc", "acme", ""); err != nil {
		t.Errorf("it did not recover: %v", err)
	}
	if c := s.connection(id); c.State != integration.ConnectionConnected || c.Reason != "" {
		t.Errorf("%s: %s", c.State, c.Reason)
	}
}

// R2.5: what the tenant withdrew at the provider needs the tenant.
func TestWithdrawn(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	id := s.connect("acme", nil)
	s.server.Withdraw()
	s.clock.Add(time.Hour)
	var state *connect.StateError
	if _, err := s.For(t.Context(), "svc", "acme", ""); !errors.As(err, &state) || state.State != integration.ConnectionNeedsReauth {
		t.Fatalf("%v", err)
	}
	if s.connect("acme", nil) != id {
		t.Error("connecting again changed the id")
	}
	if _, err := s.For(t.Context(), "svc", "acme", ""); err != nil {
		t.Error(err)
	}
}

// R2.4: renewed ahead of its end by the job, and kept alive where nobody calls.
func TestJob(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	id := s.connect("acme", nil)
	c := s.connection(id)
	if left := c.ExpiresAt.Sub(c.DueAt); c.Task != integration.TaskRefresh || left < 10*time.Minute || left > 30*time.Minute {
		t.Fatalf("%s is due %s before its end", c.Task, left)
	}
	s.clock.Add(c.DueAt.Sub(s.clock.Now()))
	s.Work(t.Context(), c)
	if n := s.server.Counts(); n.Refreshes != 1 {
		t.Fatalf("%d refreshes", n.Refreshes)
	}
	s.clock.Add(48 * time.Hour) // nobody calls
	c = s.connection(id)
	out := s.Work(t.Context(), c)
	if n := s.server.Counts(); n.Refreshes != 1 || out.Task != integration.TaskKeepAlive || !out.DueAt.Before(c.RenewBefore) {
		t.Errorf("an idle one: %d refreshes, %+v", n.Refreshes, out)
	}
	c.Task = integration.TaskKeepAlive
	s.clock.Add(out.DueAt.Sub(s.clock.Now()))
	s.Work(t.Context(), c)
	if n := s.server.Counts(); n.Refreshes != 2 {
		t.Errorf("it was not kept alive: %d refreshes", n.Refreshes)
	}
}

// R2.6: a revocation that fails is shown, tried again, and done in the end.
func TestRevocationIsRetried(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	id := s.connect("acme", nil)
	token, err := s.For(t.Context(), "svc", "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	s.server.SetMood(sandbox.OAuthMood{Status: 500})
	done, err := s.Disconnect(t.Context(), "svc", id, "test")
	if err != nil || done.Revoked || !done.Pending || !strings.Contains(done.Reason, "could not be told") {
		t.Fatalf("%+v %v", done, err)
	}
	if _, err := s.For(t.Context(), "svc", "acme", ""); err == nil {
		t.Error("a call still gets the credential")
	}
	s.server.SetMood(sandbox.OAuthMood{})
	s.Work(t.Context(), s.connection(id))
	_, sealed, err := s.store.Connection(t.Context(), id)
	if err != nil || len(sealed) != 0 || s.server.Live(token.Secret.Reveal()) {
		t.Errorf("%d credentials are left: %v", len(sealed), err)
	}
}

// A disconnection in the middle of a renewal wins, and the new token does not
// live on at the provider.
func TestDisconnectDuringRenewal(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	id := s.connect("acme", nil)
	s.clock.Add(time.Hour)
	s.server.SetMood(sandbox.OAuthMood{Delay: func() {
		s.server.SetMood(sandbox.OAuthMood{})
		if _, err := s.Disconnect(context.WithoutCancel(t.Context()), "svc", id, "test"); err != nil {
			t.Error(err)
		}
	}})
	var state *connect.StateError
	if _, err := s.For(t.Context(), "svc", "acme", ""); !errors.As(err, &state) {
		t.Fatalf("%v", err)
	}
	if c := s.connection(id); c.Task == integration.TaskRevoke {
		s.Work(t.Context(), c)
	}
	if c, sealed, err := s.store.Connection(t.Context(), id); err != nil || c.State != integration.ConnectionDisconnected || len(sealed) != 0 {
		t.Errorf("%s, %d credentials: %v", c.State, len(sealed), err)
	}
}

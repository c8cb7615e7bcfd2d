package oauth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/sandbox"
)

func (s *stage) device(r connect.Request) connect.Started {
	s.t.Helper()
	r.Service, r.Device = "svc", true
	if r.Tenant == "" {
		r.Tenant = "acme"
	}
	started, err := s.Start(s.t.Context(), r)
	if err != nil || started.Device == nil || started.Device.UserCode == "" || !strings.HasPrefix(started.URL, public+connect.PagePath) {
		s.t.Fatalf("%+v %v", started, err)
	}
	return started
}

// turn lets the queue's due connections have their turn, as a runner does.
func (s *stage) turn(by *connect.Connections) (worked int) {
	s.t.Helper()
	queue, now := s.store.ConnectionQueue(), s.clock.Now()
	held, err := queue.Claim(s.t.Context(), lease.Claim{Owner: by.Owner, Now: now, Until: now.Add(time.Minute), Limit: 10})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range held {
		out := by.Work(s.t.Context(), h.Value)
		if _, err := queue.Complete(s.t.Context(), by.Owner, []lease.Done[integration.ConnectionOutcome]{{Key: h.Key, Outcome: out}}); err != nil {
			s.t.Fatal(err)
		}
	}
	return len(held)
}

func (s *stage) fields(id string) (list []string) {
	s.t.Helper()
	_, sealed, err := s.store.Connection(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, k := range sealed {
		list = append(list, k.Field)
	}
	return list
}

func hasDevice(list []string) bool {
	return strings.Contains(strings.Join(list, " "), "device_code")
}

// R2.2, R2.3: a code is given out, asked about no more often than the provider
// wants, by whichever process there is, and becomes a connection like any other.
func TestDeviceFlow(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "github")
	started := s.device(connect.Request{ReturnURL: returnTo, Scopes: []string{"repo"}})
	id, token := started.Connection, strings.TrimPrefix(started.URL, public+connect.PagePath)
	if !started.Device.Expires.After(s.clock.Now()) || started.Device.CompleteURI == "" {
		t.Errorf("%+v", started.Device)
	}
	var state *connect.StateError
	if _, err := s.For(t.Context(), "svc", "acme", ""); !errors.As(err, &state) || !strings.Contains(state.Reason, "confirm a code") {
		t.Errorf("a call before the code was confirmed: %v", err)
	}
	if s.turn(s.Connections) != 0 {
		t.Error("it was asked before the interval was over")
	}
	s.clock.Add(3 * time.Second)
	if s.turn(s.Connections) != 1 || s.server.Counts().Polls != 1 {
		t.Fatalf("%+v", s.server.Counts())
	}
	if s.turn(s.Connections) != 0 {
		t.Error("it was asked again at once")
	}
	page, err := s.Page(t.Context(), token)
	if err != nil || page.Device == nil || page.Device.UserCode != started.Device.UserCode || page.Ended != nil {
		t.Fatalf("%+v %v", page, err)
	}
	standings, err := s.Status(t.Context(), "svc", "acme")
	if err != nil || len(standings) != 1 || standings[0].Device == nil || standings[0].Device.UserCode != started.Device.UserCode {
		t.Fatalf("%+v %v", standings, err)
	}
	if _, err := s.Submit(t.Context(), token, nil, nil, "x"); !errors.Is(err, connect.ErrLink) {
		t.Errorf("the page of a code took a form: %v", err)
	}

	s.reopen() // the process that began it is gone
	if !s.server.Confirm(started.Device.UserCode) {
		t.Fatal("the code is not known")
	}
	s.clock.Add(10 * time.Second)
	s.turn(s.Connections)
	c, err := s.For(t.Context(), "svc", "acme", "")
	if err != nil || !s.server.Live(c.Secret.Reveal()) || c.Connection != id {
		t.Fatalf("%+v %v; %v", c, err, s.server.Refused())
	}
	if f := s.fields(id); hasDevice(f) {
		t.Errorf("the device code is still there: %v", f)
	}
	polls := s.server.Counts().Polls
	s.clock.Add(time.Minute)
	s.turn(s.Connections)
	if n := s.server.Counts().Polls; n != polls {
		t.Error("it was asked again after it was confirmed")
	}
	page, err = s.Page(t.Context(), token)
	if err != nil || page.Device != nil || page.Ended == nil || page.Ended.Outcome != connect.EndedConnected || !strings.HasPrefix(page.Ended.Redirect, returnTo) {
		t.Errorf("%+v %v", page, err)
	}
	s.secretless()
	if strings.Contains(s.logged(), "dc_") || strings.Contains(s.logged(), "alert=true") {
		t.Errorf("the log holds a device code, or an alert that is none:\n%s", s.logged())
	}
}

// R2.2, R2.5: no, no answer in time, and a provider that is down. What worked
// before goes on to work, and nobody asks any more.
func TestDeviceFlowEnds(t *testing.T) {
	t.Parallel()
	ends := map[string]struct {
		happens func(s *stage, code string)
		reason  string
		outcome string
	}{
		"denied": {func(s *stage, code string) {
			s.server.SetMood(sandbox.OAuthMood{Deny: true})
			s.server.Confirm(code)
			s.clock.Add(3 * time.Second)
		}, "said no", connect.EndedDenied},
		"expired": {func(s *stage, _ string) { s.clock.Add(10 * time.Minute) }, "in time", connect.EndedRefused},
	}
	for name, c := range ends {
		for _, reconnecting := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := sandboxStage(t, "github")
				if reconnecting {
					s.connect("acme", nil)
				}
				started := s.device(connect.Request{})
				before := s.connection(started.Connection)
				if reconnecting && before.State != integration.ConnectionConnected {
					t.Fatalf("beginning anew ended what works: %s", before.State)
				}
				c.happens(s, started.Device.UserCode)
				s.turn(s.Connections)
				after := s.connection(started.Connection)
				if hasDevice(s.fields(after.ID)) {
					t.Error("the device code is still there")
				}
				if reconnecting {
					if _, err := s.For(t.Context(), "svc", "acme", ""); err != nil || after.State != integration.ConnectionConnected {
						t.Errorf("what worked before does not work any more: %v", err)
					}
					return
				}
				if after.State != integration.ConnectionDisconnected || !strings.Contains(after.Reason, c.reason) || after.Task != integration.TaskNone {
					t.Errorf("%+v", after)
				}
				page, err := s.Page(t.Context(), strings.TrimPrefix(started.URL, public+connect.PagePath))
				if err != nil || page.Ended == nil || page.Ended.Outcome != c.outcome {
					t.Errorf("%+v %v", page.Ended, err)
				}
				polls := s.server.Counts().Polls
				s.clock.Add(2 * time.Minute)
				if s.turn(s.Connections); s.server.Counts().Polls != polls {
					t.Error("it is still asked for")
				}
				if again := s.device(connect.Request{}); again.Connection != started.Connection || again.Device.UserCode == started.Device.UserCode {
					t.Errorf("%+v", again)
				}
			})
		}
	}
}

// RFC 8628, section 3.5: slow_down makes it slower from then on, also for the
// next process; a provider that is down is asked half as often.
func TestDeviceFlowSlowsDown(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "github")
	started := s.device(connect.Request{})
	s.clock.Add(2 * time.Second)
	s.turn(s.Connections)
	// Another asks with the same code in between.
	c := s.connection(started.Connection)
	s.clock.Add(time.Second)
	s.Work(t.Context(), c)
	s.clock.Add(4 * time.Second)
	if polls := s.server.Counts().Polls; polls != 2 || s.turn(s.Connections) != 0 {
		t.Fatalf("%d polls, and it is due again too early", polls)
	}
	s.reopen()
	s.clock.Add(3 * time.Second)
	s.server.SetMood(sandbox.OAuthMood{Status: 503})
	if s.turn(s.Connections) != 1 {
		t.Fatal("it is not due any more")
	}
	if due := s.connection(started.Connection).DueAt.Sub(s.clock.Now()); due != 14*time.Second {
		t.Errorf("due in %s", due)
	}
	s.server.SetMood(sandbox.OAuthMood{})
	s.server.Confirm(started.Device.UserCode)
	s.clock.Add(14 * time.Second)
	s.turn(s.Connections)
	if c := s.connection(started.Connection); c.State != integration.ConnectionConnected {
		t.Errorf("%+v; %v", c, s.server.Refused())
	}
}

// A renewal while a code waits to be confirmed keeps both alive.
func TestDeviceFlowBesideRenewal(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "google")
	id := s.connect("acme", nil)
	first := s.connection(id)
	s.clock.Add(first.ExpiresAt.Sub(s.clock.Now()) - time.Minute)
	started := s.device(connect.Request{Connection: id})
	s.clock.Add(55 * time.Second) // the token ends
	if _, err := s.For(t.Context(), "svc", "acme", ""); err != nil {
		t.Fatal(err)
	}
	if c := s.connection(id); c.Task != integration.TaskCheck || !hasDevice(s.fields(id)) || !c.ExpiresAt.After(s.clock.Now()) {
		t.Fatalf("the renewal forgot the code: %+v %v", c, s.fields(id))
	}
	s.server.Confirm(started.Device.UserCode)
	s.clock.Add(10 * time.Second)
	s.turn(s.Connections)
	if c := s.connection(id); c.Task != integration.TaskRefresh || hasDevice(s.fields(id)) {
		t.Errorf("%+v %v", c, s.fields(id))
	}
}

// A flow that is ended on request is not asked about any more, and nothing of it
// stays; saying no on our own page does the same.
func TestDeviceFlowCanceled(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "google")
	started := s.device(connect.Request{})
	if _, err := s.Disconnect(t.Context(), "svc", started.Connection, "me"); err != nil {
		t.Fatal(err)
	}
	second := s.device(connect.Request{Tenant: "two"})
	if e, err := s.Decline(t.Context(), strings.TrimPrefix(second.URL, public+connect.PagePath)); err != nil || e.Outcome != connect.EndedDenied {
		t.Errorf("%+v %v", e, err)
	}
	for _, one := range []connect.Started{started, second} {
		s.server.Confirm(one.Device.UserCode)
		s.clock.Add(time.Minute)
		s.turn(s.Connections)
		if c := s.connection(one.Connection); c.State != integration.ConnectionDisconnected || len(s.fields(c.ID)) != 0 {
			t.Errorf("%+v", c)
		}
	}
	if n := s.server.Counts(); n.Polls != 0 {
		t.Errorf("%d polls", n.Polls)
	}
	if strings.Contains(s.logged(), "alert=true") {
		t.Errorf("%s", s.logged())
	}
	var wrong *connect.RequestError
	if _, err := s.Start(t.Context(), connect.Request{Service: "svc", Tenant: "acme", Device: true, Connection: "nope"}); !errors.Is(err, integration.ErrNotFound) {
		t.Errorf("%v", err)
	}
	other := sandboxStage(t, "zoom")
	if _, err := other.Start(t.Context(), connect.Request{Service: "svc", Tenant: "acme", Device: true}); !errors.As(err, &wrong) {
		t.Errorf("a provider without one: %v", err)
	}
}

// Every profile that has a device flow can be connected by it.
func TestDeviceProviders(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, p := range all {
		for _, a := range p.Auth {
			if a.OAuth == nil || a.OAuth.DeviceURL == "" || a.Kind != "oauth2" {
				continue
			}
			tried++
			t.Run(p.ID, func(t *testing.T) {
				t.Parallel()
				s := sandboxStage(t, p.ID)
				variables := map[string]string{}
				for name, v := range p.API.Variables {
					if v.From == "" && v.Ask == nil {
						variables[name] = example(name, v)
					}
				}
				started := s.device(connect.Request{Variables: variables})
				s.server.Confirm(started.Device.UserCode)
				s.clock.Add(5 * time.Second)
				s.turn(s.Connections)
				if c := s.connection(started.Connection); c.State != integration.ConnectionConnected {
					t.Errorf("%+v; %v", c, s.server.Refused())
				}
			})
		}
	}
	if tried < 5 {
		t.Errorf("only %d were tried", tried)
	}
}

package oauth_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/connect"
)

// Forged logins (RFC 9700, section 4.7) at flows that are bound to no browser: an
// attacker has a stranger's browser bring an answer that the attacker got. It
// makes no connection but the attacker's own, takes nothing from the stranger's,
// and does so once, in time.
func TestUnboundFlow(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	own := s.start(connect.Request{Tenant: "victim", ReturnURL: returnTo})
	begun := s.start(connect.Request{Tenant: "attacker", ReturnURL: returnTo})
	forged := s.visit(begun.URL)
	ended := s.Callback(t.Context(), forged, "the victim's cookie")
	if ended.Outcome != connect.EndedConnected || ended.Connection != begun.Connection {
		t.Fatalf("%+v", ended)
	}
	if c := s.connection(begun.Connection); c.Tenant != "attacker" {
		t.Errorf("it belongs to %s", c.Tenant)
	}
	s.nothing(own.Connection)
	if _, err := s.For(t.Context(), "svc", "victim", ""); err == nil {
		t.Error("the victim calls with the attacker's account")
	}
	if _, err := s.For(t.Context(), "svc", "victim", begun.Connection); err == nil {
		t.Error("the victim calls with the attacker's connection")
	}
	if e := s.Callback(t.Context(), forged, ""); e.Outcome != connect.EndedExpired {
		t.Errorf("brought a second time: %+v", e)
	}

	// The victim's own state with the attacker's code: PKCE tells them apart.
	mine, theirs := s.visit(own.URL), s.visit(s.start(connect.Request{Tenant: "attacker", Another: true, ReturnURL: returnTo}).URL)
	mixed := s.visit(s.start(connect.Request{Tenant: "victim", ReturnURL: returnTo}).URL)
	mixed.Set("code", theirs.Get("code"))
	if e := s.Callback(t.Context(), mixed, ""); e.Outcome == connect.EndedConnected {
		t.Errorf("the attacker's code in the victim's flow: %+v", e)
	}
	if e := s.Callback(t.Context(), mine, ""); e.Outcome != connect.EndedConnected || s.connection(e.Connection).Tenant != "victim" {
		t.Errorf("the victim's own flow: %+v", e)
	}

	late := s.visit(s.start(connect.Request{Tenant: "attacker", Another: true, ReturnURL: returnTo}).URL)
	s.clock.Add(16 * time.Minute)
	if e := s.Callback(t.Context(), late, ""); e.Outcome != connect.EndedExpired {
		t.Errorf("too late: %+v", e)
	}
	s.secretless()
}

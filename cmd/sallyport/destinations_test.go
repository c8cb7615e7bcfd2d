package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
)

// R5.11, R9.4: the command line says how destinations do, pauses and resumes one,
// and shows where an event stands with each.
func TestDestinationsCommand(t *testing.T) {
	t.Parallel()
	now := time.Now()
	billing := api.DestinationView{Service: "stripe", Name: "billing", State: "open", LastSuccess: &now}
	ledger := api.DestinationView{Service: "stripe", Name: "ledger", State: "backing_off", BackingOffUntil: &now, LastFailure: &now, LastError: "it answered\x1b[31m 503"}
	mux := http.NewServeMux()
	say := func(pattern string, body func() any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(body()); err != nil {
				t.Error(err)
			}
		})
	}
	const base = "/api/v1/admin/destinations"
	say("GET "+base, func() any { return map[string]any{"destinations": []api.DestinationView{billing, ledger}} })
	say("POST "+base+"/stripe/ledger/pause", func() any {
		return api.DestinationView{Service: "stripe", Name: "ledger", State: "paused", Parked: 7}
	})
	say("POST "+base+"/stripe/ledger/resume", func() any {
		return api.DestinationView{Service: "stripe", Name: "ledger", State: "open", Parked: 7}
	})
	say("GET /api/v1/admin/events/e1", func() any {
		return api.EventView{ID: "e1", Service: "stripe", Status: "received", ReceivedAt: now, DueAt: &now, Stale: true, Parked: []string{"stripe/ledger"}, Destinations: map[string]api.ProgressView{
			"ledger": {State: "parked"}, "billing": {State: "waiting", Attempts: 2, DueAt: &now, Error: "it answered 500"},
		}}
	})
	a := &admin{gateway: httptest.NewServer(mux), key: "k"}
	defer a.gateway.Close()
	for _, c := range []struct {
		args, want []string
	}{
		{[]string{"destinations", "list"}, []string{"billing", "open", "ledger", "backing off until", "503"}},
		{[]string{"destinations", "list", "--output", "json"}, []string{`"state": "backing_off"`}},
		{[]string{"destinations", "pause", "stripe", "ledger"}, []string{"ledger of stripe is paused", "7 events"}},
		{[]string{"destinations", "resume", "stripe", "ledger"}, []string{"ledger of stripe is resumed", "7 events", "come back"}},
		{[]string{"events", "show", "e1"}, []string{"waits for", "stripe/ledger", "parked", "waiting", "it answered 500", "a later event of its subject", "due"}},
	} {
		out, errOut, err := a.sally(t, c.args...)
		for _, want := range c.want {
			if err != nil || !strings.Contains(out+errOut, want) {
				t.Errorf("%v: no %q: %v\n%s%s", c.args, want, err, out, errOut)
			}
		}
		if strings.Contains(out+errOut, "\x1b") {
			t.Errorf("%v: the terminal is written to: %q", c.args, out)
		}
	}
	if _, errOut, err := a.sally(t, "destinations", "pause", "stripe", "nobody"); err == nil {
		t.Errorf("a destination that is not there was paused: %s", errOut)
	}
}

package sallyport_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/api"
)

// paused is a gateway with two destinations, which can be stopped and started
// again.
type paused struct {
	t       *testing.T
	c       sallyport.Config
	key     string
	app     *sallyport.App
	address string
	stop    func()
	ended   <-chan error
}

func (p *paused) start() {
	p.t.Helper()
	var err error
	if p.app, err = sallyport.New(p.t.Context(), p.c); err != nil {
		p.t.Fatal(err)
	}
	p.address, p.stop, p.ended = serving(p.t, p.app)
}

func (p *paused) end() {
	p.t.Helper()
	p.stop()
	if err := await(p.t, p.ended); err != nil {
		p.t.Error(err)
	}
	if err := p.app.Close(); err != nil {
		p.t.Error(err)
	}
}

// event sends an event and returns our id of it.
func (p *paused) event(id string) string {
	p.t.Helper()
	payload := `{"id": "` + id + `", "object": "event", "type": "invoice.paid", "created": 1764000000, "data": {"object": {"id": "in_1"}}}`
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(payload), Secret: webhookSecret})
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://"+p.address+"/api/webhooks/stripe", strings.NewReader(payload))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Stripe-Signature", signed.Header)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		p.t.Fatalf("answered %d", answer.StatusCode)
	}
	return answer.Header.Get("Sallyport-Event")
}

func (p *paused) turn(name, turn string) (d api.DestinationView) {
	p.t.Helper()
	postJSON(p.t, "http://"+p.address+"/api/v1/admin/destinations/stripe/"+name+"/"+turn, p.key, map[string]any{}, &d)
	return d
}

func (p *paused) destination(name string) api.DestinationView {
	p.t.Helper()
	var out struct {
		Destinations []api.DestinationView `json:"destinations"`
	}
	getJSON(p.t, "http://"+p.address+"/api/v1/admin/destinations", p.key, &out)
	i := slices.IndexFunc(out.Destinations, func(d api.DestinationView) bool { return d.Name == name })
	if i < 0 {
		p.t.Fatalf("there is no %s in %+v", name, out.Destinations)
	}
	return out.Destinations[i]
}

// until asks for an event until it is as wanted.
func (p *paused) until(id, what string, wanted func(*api.EventView) bool) api.EventView {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); ; {
		var e api.EventView
		getJSON(p.t, "http://"+p.address+"/api/v1/admin/events/"+id, p.key, &e)
		if wanted(&e) {
			return e
		}
		if time.Now().After(end) {
			p.t.Fatalf("the event is not %s: %+v", what, e)
		}
		<-tick.C
	}
}

// R5.11: a paused destination has nothing, the other everything; the pause
// outlives a restart; what was parked comes when it is resumed, once.
func TestPausedDestination(t *testing.T) {
	t.Parallel()
	got := map[string]chan string{"a": make(chan string, 100), "b": make(chan string, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got[strings.TrimPrefix(r.URL.Path, "/")] <- string(body)
	}))
	defer server.Close()
	p := &paused{t: t, c: configure(t, "mappings: {}",
		fmt.Sprintf(`destinations: {a: {url: "%[1]s/a", secret: "env:LIVE"}, b: {url: "%[1]s/b", secret: "env:LIVE"}}`, server.URL),
		"invoice.paid: {from: data.object}", "invoice.paid: {to: [a, b]}")}
	p.key = adminKey(t, p.c)
	p.start()

	if d := p.turn("b", "pause"); d.State != "paused" || d.Parked != 0 {
		t.Errorf("paused: %+v", d)
	}
	first := p.event("evt_1")
	arrived(t, got["a"])
	e := p.until(first, "parked", func(e *api.EventView) bool { return len(e.Parked) > 0 })
	if !slices.Equal(e.Parked, []string{"stripe/b"}) || e.Destinations["a"].State != "succeeded" || e.Destinations["b"].State != "parked" || e.Status != "received" {
		t.Errorf("parked: %+v", e)
	}
	if d := p.destination("b"); d.Parked != 1 || d.State != "paused" {
		t.Errorf("with one parked: %+v", d)
	}

	p.end()
	p.start()
	second := p.event("evt_2")
	arrived(t, got["a"])
	p.until(second, "parked after a restart", func(e *api.EventView) bool { return len(e.Parked) > 0 })
	select {
	case body := <-got["b"]:
		t.Fatalf("delivered while paused: %s", body)
	default:
	}

	p.turn("b", "resume")
	for range 2 {
		arrived(t, got["b"])
	}
	for _, id := range []string{first, second} {
		p.until(id, "processed", func(e *api.EventView) bool {
			return e.Status == "processed" && e.Destinations["b"].State == "succeeded"
		})
	}
	if d := p.destination("b"); d.State != "open" || d.Parked != 0 || d.LastSuccess == nil {
		t.Errorf("resumed: %+v", d)
	}
	p.end()
	if len(got["a"]) != 0 || len(got["b"]) != 0 {
		t.Errorf("delivered once more: %d, %d", len(got["a"]), len(got["b"]))
	}
}

// A destination that the plan names no more keeps nothing back, and its pause can
// be taken off.
func TestPausedDestinationLeavesThePlan(t *testing.T) {
	t.Parallel()
	got := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got <- r.URL.Path
	}))
	defer server.Close()
	destinations := func(name string) []string {
		return []string{
			"mappings: {}", fmt.Sprintf(`destinations: {%s: {url: "%s/%[1]s", secret: "env:LIVE"}}`, name, server.URL),
			"invoice.paid: {from: data.object}", "invoice.paid: {to: " + name + "}",
		}
	}
	p := &paused{t: t, c: configure(t, destinations("old")...)}
	p.key = adminKey(t, p.c)
	p.start()
	p.turn("old", "pause")
	id := p.event("evt_1")
	p.until(id, "parked", func(e *api.EventView) bool { return len(e.Parked) > 0 })
	p.end()

	write(t, p.c.Plans, "stripe.yaml", destinations("new")...)
	p.start()
	defer p.end()
	if path := arrived(t, got); path != "/new" {
		t.Errorf("delivered at %s", path)
	}
	if d := p.destination("old"); d.State != "paused" || d.Parked != 0 {
		t.Errorf("%+v", d)
	}
	p.turn("old", "resume")
}

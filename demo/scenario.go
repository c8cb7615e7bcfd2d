package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/sandbox"
)

// happened is one event the scenario caused, with what should come of it.
type happened struct {
	about     string
	typ       string
	ids       []string // of the provider; one
	accepted  bool     // what the sandbox was told in the end
	statuses  []int    // of each sending
	wantSent  []int
	wantTaken int           // deliveries the app should have taken
	age       time.Duration // how long ago it happened
}

const (
	customers = "POST /v1/customers"
	customer  = "GET /v1/customers/{customer}"
)

// calls creates customers through both doors and meets a 429 with Retry-After,
// two 503s and a timeout.
func (s *stage) calls(ctx context.Context) error {
	create, _, err := s.endpoint("POST", "/v1/customers")
	if err != nil {
		return err
	}
	read, _, err := s.endpoint("GET", "/v1/customers/cus_1")
	if err != nil {
		return err
	}
	type step struct {
		about string
		fault *sandbox.Fault
		do    func() (*request, error)
	}
	var created string
	steps := []step{
		{"a named endpoint, fields mapped both ways", nil, func() (*request, error) {
			return s.gateway.endpoint(ctx, create, nil, map[string]any{"email": "jo@example.com"})
		}},
		{"429 with Retry-After: 1", &sandbox.Fault{Endpoint: customers, First: 1, Status: 429, RetryAfter: plan.Duration(time.Second)}, func() (*request, error) {
			return s.gateway.endpoint(ctx, create, nil, map[string]any{"email": "kim@example.com"})
		}},
		{"two 503s, through the proxy", &sandbox.Fault{Endpoint: customers, First: 2, Status: 503}, func() (*request, error) {
			return s.gateway.proxy(ctx, "POST", "/v1/customers", "email=lee%40example.com&metadata[tenant_id]=0c9e6f1e-6f0a-4f5e-9a45-1d1c1a0a7f11")
		}},
		{"a provider that does not answer in time", &sandbox.Fault{Endpoint: customer, First: 1, Latency: plan.Duration(1500 * time.Millisecond)}, func() (*request, error) {
			return s.gateway.endpoint(ctx, read, map[string]string{"customer": created}, nil)
		}},
	}
	for _, one := range steps {
		var faults []sandbox.Fault
		if one.fault != nil {
			faults = append(faults, *one.fault)
		}
		if err := s.sandbox.SetFaults(faults); err != nil {
			return err
		}
		s.narrator.say("call", "%s", bold.Render(one.about))
		r, err := one.do()
		if err != nil {
			return err
		}
		r.about = one.about
		s.requests = append(s.requests, r)
		if id := s.customerID(r.body); created == "" {
			created = id
		}
	}
	s.total = 3
	if err := s.sandbox.SetFaults(nil); err != nil {
		return err
	}
	return s.queued(ctx, create)
}

// queued has the breaker held open, as if the provider were down: a call is put
// into the queue, and made by itself once the breaker lets it.
func (s *stage) queued(ctx context.Context, create string) error {
	s.narrator.say("call", "%s", bold.Render("the provider is down: the breaker is open"))
	if err := s.breaker(ctx, "open"); err != nil {
		return err
	}
	r, err := s.gateway.endpoint(ctx, create, nil, map[string]any{"email": "max@example.com"})
	if err != nil {
		return err
	}
	s.narrator.say("call", "%d, call %s waits in the queue", r.status, r.call)
	s.waiting, s.total = r, s.total+1
	return s.breaker(ctx, "auto")
}

func (s *stage) breaker(ctx context.Context, state string) error {
	body, err := json.Marshal(map[string]string{"host": s.ports.sandbox.Addr().String(), "state": state})
	if err != nil {
		return err
	}
	r, err := s.gateway.do(ctx, "POST", "/api/v1/admin/integrations/stripe/breaker", "application/json", body)
	if err == nil && r.status != 200 {
		err = fmt.Errorf("the breaker: %d %s", r.status, r.body)
	}
	return err
}

// customerID finds the id in an answer, mapped or not.
func (s *stage) customerID(body []byte) string {
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		return ""
	}
	for _, v := range fields {
		if id, ok := v.(string); ok && strings.HasPrefix(id, "cus_") {
			return id
		}
	}
	return ""
}

// webhooks has the sandbox send events, some of which nobody should believe.
func (s *stage) webhooks(ctx context.Context) error {
	steps := []struct {
		happened
		options sandbox.EmitOptions
		refuse  int
	}{
		{happened{about: "paid", typ: "invoice.paid", wantSent: []int{200}, wantTaken: 1}, sandbox.EmitOptions{}, 0},
		{happened{about: "payment failed, and the app is busy", typ: "invoice.payment_failed", wantSent: []int{200}, wantTaken: 1}, sandbox.EmitOptions{}, 1},
		{happened{about: "sent twice", typ: "invoice.paid", wantSent: []int{200, 200}, wantTaken: 1}, sandbox.EmitOptions{Duplicate: true}, 0},
		{happened{about: "forged", typ: "invoice.paid", wantSent: []int{401}}, sandbox.EmitOptions{Forged: true}, 0},
		{happened{about: "replayed: signed ten minutes ago", typ: "invoice.paid", wantSent: []int{401}}, sandbox.EmitOptions{SignedAgo: 10 * time.Minute}, 0},
		{happened{about: "late: happened two hours ago", typ: "invoice.paid", wantSent: []int{200}, wantTaken: 1, age: 2 * time.Hour}, sandbox.EmitOptions{Age: 2 * time.Hour}, 0},
	}
	for _, one := range steps {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.app.refuseNext(one.refuse)
		s.narrator.say("webhook", "%s", bold.Render(one.about))
		one.options.Object = map[string]any{
			"amount_due": 1990, "currency": "eur", "status": status(one.typ),
			"metadata": map[string]any{"tenant_id": "0c9e6f1e-6f0a-4f5e-9a45-1d1c1a0a7f11"},
		}
		emitted, err := s.sandbox.Emit(ctx, one.typ, one.options)
		if err != nil {
			return err
		}
		h := one.happened
		h.ids, h.accepted = []string{emitted.ID}, emitted.Accepted
		for _, sent := range emitted.Sent {
			h.statuses = append(h.statuses, sent.Status)
		}
		s.events = append(s.events, &h)
		if err := s.delivered(ctx, s.expected()); err != nil {
			return err
		}
	}
	return nil
}

func status(eventType string) string {
	if eventType == "invoice.paid" {
		return "paid"
	}
	return "open"
}

// expected is how many deliveries the app should have taken by now.
func (s *stage) expected() int {
	n := 0
	for _, e := range s.events {
		n += e.wantTaken
	}
	return n
}

// delivered waits until the app has taken n events of the scenario.
func (s *stage) delivered(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		if len(s.taken()) >= n {
			return nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("the app was handed %d of %d events: %w", len(s.taken()), n, err)
		}
	}
}

// taken are the deliveries of the scenario's own events, steady traffic and
// events of calls left out.
func (s *stage) taken() []delivery {
	all, _ := s.app.taken()
	var out []delivery
	for _, d := range all {
		if d.Type == "stripe.invoice.paid" || d.Type == "stripe.invoice.payment_failed" {
			out = append(out, d)
		}
	}
	return out
}

// traffic goes on creating customers until the time is up, quietly.
func (s *stage) traffic(ctx context.Context) error {
	if s.config.For > 0 {
		left := s.config.For - time.Since(s.began) - 500*time.Millisecond // for the summary
		if left <= 0 {
			s.addresses()
			return nil
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, left)
		defer cancel()
	}
	s.narrator.act("4  Steady traffic")
	s.narrator.say("call", "five customers a second through the proxy; only what goes wrong is shown")
	s.addresses()
	if s.config.For == 0 {
		s.narrator.raw("\nCtrl-C ends it.")
	}
	s.narrator.quiet.set(true)
	defer s.narrator.quiet.set(false)
	for {
		if pause(ctx, 200*time.Millisecond) != nil {
			return nil
		}
		form := url.Values{"email": {fmt.Sprintf("n%d@example.com", s.total)}}
		// The request is finished even when the time ends meanwhile.
		r, err := s.gateway.proxy(context.WithoutCancel(ctx), "POST", "/v1/customers", form.Encode())
		if err != nil {
			return err
		}
		if r.status != 200 {
			return fmt.Errorf("POST /v1/customers through the proxy: %d %s", r.status, r.body)
		}
		s.total++
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

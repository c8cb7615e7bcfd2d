package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
)

// check is one line of the summary: what the plan says, and what happened.
type check struct {
	what, want, got string
	ok              bool
}

// callView is what the gateway's API says of a call.
type callView struct {
	State          string `json:"state"`
	IdempotencyKey string `json:"idempotency_key"`
	Attempts       []struct {
		Status   int     `json:"status"`
		Class    string  `json:"class"`
		WaitedMS float64 `json:"waited_ms"`
	} `json:"attempts"`
}

// summary asks everyone what happened, prints the table, and fails when
// something was not as the plan says.
func (s *stage) summary(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	s.narrator.act("What the plan says, and what happened")
	checks, err := s.checkCalls(ctx)
	if err != nil {
		return err
	}
	more, err := s.checkEvents(ctx)
	if err != nil {
		return err
	}
	checks = append(checks, more...)
	s.narrator.raw(render(checks))
	s.narrator.raw("\n  the plan, its page and the database stay in " + s.config.Folder)
	if slices.ContainsFunc(checks, func(c check) bool { return !c.ok }) {
		return ErrUnmet
	}
	s.narrator.raw(good.Render("\nAll went as the plan says."))
	return nil
}

func (s *stage) checkCalls(ctx context.Context) ([]check, error) {
	views := make([]callView, len(s.requests))
	for i, r := range s.requests {
		if err := s.eventually(ctx, "/api/v1/admin/calls/"+r.call, &views[i]); err != nil {
			return nil, err
		}
	}
	classes := func(i int) string {
		var out []string
		for _, a := range views[i].Attempts {
			out = append(out, a.Class)
		}
		return strings.Join(out, ", ")
	}
	expect := func(i int, what, want string) check {
		got := classes(i)
		return check{what: what, want: want, got: got, ok: got == want && s.requests[i].status == http.StatusOK && views[i].State == "succeeded"}
	}
	checks := []check{
		expect(0, "named endpoint", "ok"),
		expect(1, "429: wait, again", "limited, ok"),
		expect(2, "503 twice: back off, again", "unavailable, unavailable, ok"),
		expect(3, "no answer in time: again", "timeout, ok"),
	}
	queued, err := s.checkQueued(ctx)
	if err != nil {
		return nil, err
	}
	checks = append(checks, queued)
	waited := 0.0
	if a := views[1].Attempts; len(a) > 1 {
		waited = a[1].WaitedMS
	}
	checks = append(checks, check{"Retry-After is never shortened", "≥ 1000 ms", fmt.Sprintf("%.0f ms", waited), waited >= 1000})
	keys := s.keysOf(views[2].IdempotencyKey)
	checks = append(checks, check{"one idempotency key over all attempts", "3 requests", fmt.Sprintf("%d requests", keys), keys == 3})
	n, err := s.customersAtProvider(ctx)
	if err != nil {
		return nil, err
	}
	return append(checks, check{"customers at the provider, none twice", fmt.Sprint(s.total), fmt.Sprint(n), n == s.total}), nil
}

// checkQueued waits until the queued call was made.
func (s *stage) checkQueued(ctx context.Context) (check, error) {
	var view callView
	for {
		if err := s.eventually(ctx, "/api/v1/admin/calls/"+s.waiting.call, &view); err != nil {
			return check{}, err
		}
		if view.State != "queued" && view.State != "running" {
			break
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return check{}, err
		}
	}
	got := fmt.Sprintf("%d, then %s", s.waiting.status, view.State)
	return check{what: "provider down: queued, made by itself", want: "202, then succeeded", got: got, ok: got == "202, then succeeded"}, nil
}

// keysOf counts the requests that reached the provider under one idempotency
// key.
func (s *stage) keysOf(key string) int {
	n := 0
	for _, e := range s.sandbox.Requests() {
		if key != "" && e.Header.Get("Idempotency-Key") == key {
			n++
		}
	}
	return n
}

// customersAtProvider asks the stand-in itself.
func (s *stage) customersAtProvider(ctx context.Context) (int, error) {
	n, after := 0, ""
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.ports.sandbox.Addr().String()+"/v1/customers?limit=100"+after, nil)
		if err != nil {
			return 0, err
		}
		r.Header.Set("Authorization", "Bearer "+s.secrets.apiKey)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err
		}
		var page struct {
			Data []struct {
				ID string `json:"id"`
			} `json:"data"`
			HasMore bool `json:"has_more"`
		}
		err = json.NewDecoder(answer.Body).Decode(&page)
		answer.Body.Close()
		if err != nil {
			return 0, err
		}
		n += len(page.Data)
		if !page.HasMore || len(page.Data) == 0 {
			return n, nil
		}
		after = "&starting_after=" + page.Data[len(page.Data)-1].ID
	}
}

func (s *stage) checkEvents(ctx context.Context) ([]check, error) {
	var logs struct {
		Events []struct {
			ID         string    `json:"id"`
			ExternalID string    `json:"external_id"`
			Status     string    `json:"status"`
			OccurredAt time.Time `json:"occurred_at"`
			ReceivedAt time.Time `json:"received_at"`
			Attempts   int       `json:"attempts"`
		} `json:"events"`
	}
	if err := s.gateway.get(ctx, "/api/v1/admin/integrations/stripe/logs?kind=event&limit=500&type=invoice.paid", &logs); err != nil {
		return nil, err
	}
	paid := logs.Events
	logs.Events = nil
	if err := s.gateway.get(ctx, "/api/v1/admin/integrations/stripe/logs?kind=event&limit=500&type=invoice.payment_failed", &logs); err != nil {
		return nil, err
	}
	all := slices.Concat(paid, logs.Events)
	taken := s.taken()
	var checks []check
	for _, h := range s.events {
		stored, delivered, processed, lateOK := 0, 0, true, true
		for _, e := range all {
			if e.ExternalID != h.ids[0] {
				continue
			}
			stored++
			processed = processed && e.Status == "processed"
			lateOK = h.age == 0 || e.ReceivedAt.Sub(e.OccurredAt) > h.age-time.Minute
			for _, d := range taken {
				if d.ID == e.ID {
					delivered++
				}
			}
		}
		want := fmt.Sprintf("%v, stored %d, delivered %d", h.wantSent, h.wantTaken, h.wantTaken)
		got := fmt.Sprintf("%v, stored %d, delivered %d", h.statuses, stored, delivered)
		checks = append(checks, check{h.typ + ": " + h.about, want, got, want == got && processed && lateOK})
	}
	_, unsigned := s.app.taken()
	checks = append(checks, check{"deliveries without a valid signature", "0", fmt.Sprint(unsigned), unsigned == 0})
	return append(checks, s.checkMapping(taken)), nil
}

// checkMapping looks into one delivered event: money must be an exact decimal
// in our own field.
func (s *stage) checkMapping(taken []delivery) check {
	c := check{what: "amount_due 1990 EUR, as our field", want: `"19.90"`, got: "nothing delivered"}
	if len(taken) == 0 {
		return c
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(taken[0].Data, &fields); err != nil {
		c.got = err.Error()
		return c
	}
	for _, row := range s.plan.Mappings[s.plan.Webhooks.Events["invoice.paid"].Map] {
		if row.External == "amount_due" {
			c.got = string(fields[row.Internal])
		}
	}
	c.ok = c.got == c.want
	return c
}

// eventually reads what the gateway writes a moment after it answered: the
// record of a call that succeeded.
func (s *stage) eventually(ctx context.Context, path string, into any) error {
	for {
		err := s.gateway.get(ctx, path, into)
		if err == nil {
			return nil
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return err
		}
	}
}

func render(checks []check) string {
	t := table.New().Headers("", "what", "as the plan says", "what happened").
		Border(lipgloss.RoundedBorder()).BorderRow(false).BorderStyle(faint).
		StyleFunc(func(row, column int) lipgloss.Style {
			style := lipgloss.NewStyle().Padding(0, 1)
			if row == table.HeaderRow {
				return style.Bold(true)
			}
			if column == 0 {
				if checks[row].ok {
					return style.Foreground(lipgloss.Color("2"))
				}
				return style.Foreground(lipgloss.Color("1"))
			}
			return style
		})
	for _, c := range checks {
		mark := "✗"
		if c.ok {
			mark = "✓"
		}
		t.Row(mark, c.what, c.want, c.got)
	}
	return t.Render()
}

// addresses says where everything can be looked at while it runs, and what
// stays when it has ended.
func (s *stage) addresses() {
	folder := s.config.Folder
	bearer := fmt.Sprintf(`curl -H "Authorization: Bearer $(cat %s)" `, filepath.Join(folder, keyFile))
	s.narrator.raw("")
	for _, line := range [][2]string{
		{"plan", filepath.Join(folder, "integrations", "stripe.yaml")},
		{"as a page", "file://" + filepath.Join(folder, "stripe.html")},
		{"database", filepath.Join(folder, "sallyport.db")},
		{"provider", "http://" + s.ports.sandbox.Addr().String() + "/_sandbox/requests"},
		{"status", bearer + quote(s.gatewayURL("/api/v1/integrations/stripe/status"))},
		{"events", bearer + quote(s.gatewayURL("/api/v1/admin/integrations/stripe/logs?kind=event"))},
		{"calls", bearer + quote(s.gatewayURL("/api/v1/admin/integrations/stripe/logs?kind=call"))},
		{"API", s.gatewayURL("/openapi.json")},
	} {
		s.narrator.raw(fmt.Sprintf("  %-10s %s", line[0], line[1]))
	}
}

// quote keeps a shell from reading "?" and "&" in an address.
func quote(address string) string { return "'" + address + "'" }

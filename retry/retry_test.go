package retry_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/retry"
)

var now = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func half() float64 { return 0.5 }

func failed(class integration.Class) *integration.Failure { return &integration.Failure{Class: class} }

// R4.17, R4.6, R4.7, R4.8 and design decision 3.
func TestNext(t *testing.T) {
	t.Parallel()
	own := &plan.Plan{Errors: map[string]plan.ErrorPolicy{
		"402": {Message: "The card was declined."},
		"418": {Retry: 2, Backoff: []plan.Duration{plan.Duration(10 * time.Second)}, Then: "keep", Alert: true},
		"404": {Retry: 1},
	}}
	// As the planner writes it: every row of R4.17 spelled out.
	spelled := &plan.Plan{Errors: plan.DefaultErrors()}
	limited, down, timeout, network := integration.ClassLimited, integration.ClassUnavailable, integration.ClassTimeout, integration.ClassNetwork
	for _, c := range []struct {
		name    string
		plan    *plan.Plan
		attempt retry.Attempt
		want    string // "after 500ms of 6", or the end
	}{
		{"R4.1 400", nil, retry.Attempt{Number: 1, Status: 400, Failure: failed(integration.ClassInvalid), Effect: plan.EffectRead}, "fail"},
		{"R4.2 401, same secret", nil, retry.Attempt{Number: 1, Status: 401, Failure: failed(integration.ClassUnauthorized), Effect: plan.EffectRead}, "fail"},
		{"R4.2 401, new secret", nil, retry.Attempt{Number: 1, Status: 401, Failure: failed(integration.ClassUnauthorized), CredentialChanged: true, Effect: plan.EffectCreate}, "after 500ms of 2"},
		{"R4.2 401 once only", nil, retry.Attempt{Number: 2, Status: 401, Failure: failed(integration.ClassUnauthorized), CredentialChanged: true, Effect: plan.EffectRead}, "fail"},
		{"R4.3 403", nil, retry.Attempt{Number: 1, Status: 403, Failure: failed(integration.ClassForbidden), Effect: plan.EffectRead}, "fail"},
		{"R4.4 404", nil, retry.Attempt{Number: 1, Status: 404, Failure: failed(integration.ClassMissing), Effect: plan.EffectRead}, "fail"},
		{"R4.5 409", nil, retry.Attempt{Number: 1, Status: 409, Failure: failed(integration.ClassConflict), Effect: plan.EffectUpdate}, "fail"},
		{"R4.6 fifth retry", nil, retry.Attempt{Number: 5, Status: 429, Failure: failed(limited), Effect: plan.EffectRead}, "after 2s of 6"},
		{"R4.6 no sixth", nil, retry.Attempt{Number: 6, Status: 429, Failure: failed(limited), Effect: plan.EffectRead}, "keep"},
		{"R4.6 a create was refused before it had an effect", nil, retry.Attempt{Number: 1, Status: 429, Failure: failed(limited), Effect: plan.EffectCreate}, "after 500ms of 6"},
		{"R4.6 a 403 that is a limit", nil, retry.Attempt{Number: 1, Status: 403, Failure: failed(limited), Effect: plan.EffectRead}, "after 500ms of 6"},
		{"R4.6 a 200 that is a limit", nil, retry.Attempt{Number: 1, Status: 200, Failure: failed(limited), Effect: plan.EffectRead}, "after 500ms of 6"},
		{"R4.6 irreversible", nil, retry.Attempt{Number: 1, Status: 429, Failure: failed(limited), Effect: plan.EffectIrreversible}, "keep"},
		{"R4.7 first", nil, retry.Attempt{Number: 1, Status: 503, Failure: failed(down), Effect: plan.EffectRead}, "after 500ms of 4"},
		{"R4.7 second", nil, retry.Attempt{Number: 2, Status: 500, Failure: failed(down), Effect: plan.EffectUpdate}, "after 1s of 4"},
		{"R4.7 third", nil, retry.Attempt{Number: 3, Status: 502, Failure: failed(down), Effect: plan.EffectCreate, HasKey: true}, "after 2s of 4"},
		{"R4.7 no fourth", nil, retry.Attempt{Number: 4, Status: 504, Failure: failed(down), Effect: plan.EffectRead}, "keep"},
		{"R4.7 inside a 200", nil, retry.Attempt{Number: 1, Status: 200, Failure: failed(down), Effect: plan.EffectRead}, "after 500ms of 4"},
		{"R4.7 a create without a key", nil, retry.Attempt{Number: 1, Status: 503, Failure: failed(down), Effect: plan.EffectCreate}, "unknown"},
		{"R4.7 effect not known", nil, retry.Attempt{Number: 1, Status: 503, Failure: failed(down)}, "unknown"},
		{"R4.7 irreversible, with a key", nil, retry.Attempt{Number: 1, Status: 503, Failure: failed(down), Effect: plan.EffectIrreversible, HasKey: true}, "unknown"},
		{"R4.8 timeout", nil, retry.Attempt{Number: 1, Failure: failed(timeout), Effect: plan.EffectRead}, "after 500ms of 4"},
		{"R4.8 network", nil, retry.Attempt{Number: 1, Failure: failed(network), Effect: plan.EffectRead}, "after 500ms of 4"},
		{"R4.8 a create that timed out", nil, retry.Attempt{Number: 1, Failure: failed(timeout), Effect: plan.EffectCreate}, "unknown"},
		{"R4.8 streamed", nil, retry.Attempt{Number: 1, Failure: failed(network), Effect: plan.EffectUpdate}, "keep, streamed"},
		{"the caller left", nil, retry.Attempt{Number: 1, Failure: failed(integration.ClassCanceled), Effect: plan.EffectRead}, "fail"},
		{"the caller left a create", nil, retry.Attempt{Number: 1, Failure: failed(integration.ClassCanceled), Effect: plan.EffectCreate, HasKey: true}, "unknown"},
		{"not understood", nil, retry.Attempt{Number: 1, Status: 302, Failure: failed(integration.ClassBroken), Effect: plan.EffectRead}, "fail"},
		{"the plan's own status", own, retry.Attempt{Number: 2, Status: 418, Failure: failed(integration.ClassRejected), Effect: plan.EffectRead}, "after 5s of 3"},
		{"the plan's own words", own, retry.Attempt{Number: 1, Status: 402, Failure: failed(integration.ClassRejected), Effect: plan.EffectRead}, "fail"},
		{"the plan retries a 404", own, retry.Attempt{Number: 1, Status: 404, Failure: failed(integration.ClassMissing), Effect: plan.EffectCreate}, "after 500ms of 2"},
		{"R4.3 a 403 that is a limit is a 429, also where the plan has a row for 403", spelled, retry.Attempt{Number: 5, Status: 403, Failure: failed(limited), Effect: plan.EffectRead}, "after 2s of 6"},
		{"R4.3 and is kept", spelled, retry.Attempt{Number: 6, Status: 403, Failure: failed(limited), Effect: plan.EffectRead}, "keep"},
		{"R4.3 a 403 that is one", spelled, retry.Attempt{Number: 1, Status: 403, Failure: failed(integration.ClassForbidden), Effect: plan.EffectRead}, "fail"},
		{"R4.6 a 400 that is a limit", spelled, retry.Attempt{Number: 1, Status: 400, Failure: failed(limited), Effect: plan.EffectRead}, "after 500ms of 6"},
		{"R4.7 a 400 that is an outage", spelled, retry.Attempt{Number: 1, Status: 400, Failure: failed(down), Effect: plan.EffectRead}, "after 500ms of 4"},
		{"a 429 that is a no for good", spelled, retry.Attempt{Number: 1, Status: 429, Failure: failed(integration.ClassForbidden), Effect: plan.EffectRead}, "fail"},
		{"the plan's policy of its own status, used up", own, retry.Attempt{Number: 3, Status: 418, Failure: failed(integration.ClassRejected), Effect: plan.EffectRead}, "keep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := c.plan
			if p == nil {
				p = &plan.Plan{}
			}
			a := c.attempt
			a.Sent, a.Started = true, now
			if a.Replayable = true; c.want == "keep, streamed" {
				a.Replayable, c.want = false, "keep"
			}
			d := retry.New(p, 0).Next(a, now, half)
			if got := text(d); got != c.want {
				t.Errorf("%s (%s), want %s", got, d.Reason, c.want)
			}
			if !d.Retry && d.Reason == "" {
				t.Error("no reason given")
			}
			if want := p.Errors[fmt.Sprint(a.Status)].Message; d.Message != want {
				t.Errorf("message %q, want %q", d.Message, want)
			}
		})
	}
}

func text(d retry.Decision) string {
	if d.Retry {
		return fmt.Sprintf("after %s of %d", d.After, d.Max)
	}
	return string(d.Then)
}

// R4.8: refused before sending is safe to retry for every effect.
func TestNotSentIsSafe(t *testing.T) {
	t.Parallel()
	for _, effect := range []plan.Effect{plan.EffectRead, plan.EffectUpdate, plan.EffectCreate, plan.EffectIrreversible} {
		d := retry.New(&plan.Plan{}, 0).Next(retry.Attempt{Number: 1, Failure: failed(integration.ClassNetwork), Effect: effect, Started: now}, now, half)
		if !d.Retry {
			t.Errorf("%s: %s, %s", effect, d.Then, d.Reason)
		}
		d = retry.New(&plan.Plan{}, 0).Next(retry.Attempt{Number: 4, Failure: failed(integration.ClassNetwork), Effect: effect, Started: now}, now, half)
		if d.Retry || d.Then != retry.Keep {
			t.Errorf("%s never sent: %+v, want it kept as failed, not unknown", effect, d)
		}
	}
}

// R4.6: a wait is honoured or not begun, never shortened.
func TestWaitThatDoesNotFit(t *testing.T) {
	t.Parallel()
	a := retry.Attempt{
		Number: 1, Status: 429, Sent: true, Replayable: true, Effect: plan.EffectRead, Started: now,
		Failure: &integration.Failure{Class: integration.ClassLimited, RetryAfter: 30 * time.Second},
	}
	p := retry.New(&plan.Plan{}, 0)
	if d := p.Next(a, now, half); text(d) != "after 30.5s of 6" {
		t.Error(text(d))
	}
	a.Until = now.Add(20 * time.Second)
	if d := p.Next(a, now, half); d.Retry || d.Then != retry.Keep {
		t.Errorf("the caller has 20s: %+v", d)
	}
	a.Until = time.Time{}
	a.Failure.RetryAfter = time.Hour
	if d := p.Next(a, now, half); d.Retry || d.Then != retry.Keep {
		t.Errorf("an hour in memory: %+v", d)
	}
	a.Failure.RetryAfter = 0
	if d := p.Next(a, now.Add(3*time.Minute), half); d.Retry {
		t.Errorf("past the deadline of the call: %+v", d)
	}
}

// The laws: counts are never exceeded, waits never shortened, and what makes
// another one is never repeated once it may have been received.
func TestLaws(t *testing.T) {
	t.Parallel()
	classes := []integration.Class{
		integration.ClassInvalid, integration.ClassUnauthorized, integration.ClassForbidden, integration.ClassMissing, integration.ClassConflict,
		integration.ClassRejected, integration.ClassLimited, integration.ClassUnavailable, integration.ClassTimeout, integration.ClassNetwork,
		integration.ClassBroken, integration.ClassCanceled,
	}
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(0, 20).Draw(t, "count")
		policy := plan.ErrorPolicy{Retry: plan.RetryCount(count), Then: rapid.SampledFrom([]string{"", "fail", "keep"}).Draw(t, "then")}
		p := &plan.Plan{Errors: map[string]plan.ErrorPolicy{}}
		for _, key := range []string{"400", "401", "403", "404", "409", "429", "5xx", "timeout", "network"} {
			p.Errors[key] = policy
		}
		a := retry.Attempt{
			Number:  rapid.IntRange(1, 30).Draw(t, "number"),
			Status:  rapid.SampledFrom([]int{0, 200, 400, 401, 403, 404, 409, 429, 500, 503}).Draw(t, "status"),
			Failure: &integration.Failure{Class: rapid.SampledFrom(classes).Draw(t, "class"), RetryAfter: time.Duration(rapid.IntRange(0, 200).Draw(t, "wait")) * time.Second},
			Effect:  rapid.SampledFrom([]plan.Effect{plan.EffectRead, plan.EffectUpdate, plan.EffectCreate, plan.EffectIrreversible, ""}).Draw(t, "effect"),
			HasKey:  rapid.Bool().Draw(t, "key"), Sent: rapid.Bool().Draw(t, "sent"), Replayable: rapid.Bool().Draw(t, "replayable"),
			CredentialChanged: rapid.Bool().Draw(t, "changed"), Started: now,
		}
		if rapid.Bool().Draw(t, "deadline") {
			a.Until = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "until")) * time.Second)
		}
		d := retry.New(p, 0).Next(a, now, func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "dice") })
		careful := a.Effect != plan.EffectRead && a.Effect != plan.EffectUpdate
		denied := a.Failure.Class == integration.ClassLimited || a.Status >= 400 && a.Status < 500
		switch {
		case !d.Retry && d.Then == "":
			t.Fatal("neither again nor an end")
		case !d.Retry:
		case a.Number > count:
			t.Fatalf("retry %d of %d", a.Number, count)
		case d.After < a.Failure.RetryAfter:
			t.Fatalf("waits %s, asked for %s", d.After, a.Failure.RetryAfter)
		case !a.Until.IsZero() && !now.Add(d.After).Before(a.Until):
			t.Fatal("waits past the caller's deadline")
		case a.Failure.Class == integration.ClassCanceled:
			t.Fatal("repeats what nobody waits for")
		case a.Sent && a.Effect == plan.EffectIrreversible:
			t.Fatal("repeats the irreversible")
		case a.Sent && careful && !a.HasKey && !denied && a.Failure.Class.Transient():
			t.Fatal("repeats a create that may have been received")
		case a.Sent && !a.Replayable:
			t.Fatal("repeats a body that is gone")
		}
		if d.Then == retry.Unknown && (!a.Sent || !careful) {
			t.Fatal("unknown without cause")
		}
	})
}

func ExamplePolicy_Next() {
	policy := retry.New(&plan.Plan{}, 0)
	a := retry.Attempt{
		Number: 1, Status: 503, Failure: &integration.Failure{Class: integration.ClassUnavailable},
		Sent: true, Replayable: true, Started: now,
	}
	for _, effect := range []plan.Effect{plan.EffectRead, plan.EffectCreate} {
		a.Effect = effect
		d := policy.Next(a, now, half)
		fmt.Printf("%s: %v %s %q\n", effect, d.Retry, d.After, d.Then)
	}
	// Output:
	// read: true 500ms ""
	// create: false 0s "unknown"
}

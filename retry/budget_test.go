package retry_test

import (
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/retry"
)

// R4.16: in no window are there more retries than the share of its calls and
// the floor. Checked against every call and retry, kept one by one.
func TestBudgetHoldsInEveryWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0.01, 1).Draw(t, "share")
		floor := rapid.SampledFrom([]float64{-1, 0.1, 1, 5}).Draw(t, "floor")
		window := time.Duration(rapid.IntRange(10, 20_000).Draw(t, "window ms")) * time.Millisecond
		b := retry.NewBudget(retry.BudgetConfig{Share: share, Floor: floor, Window: window})
		var calls, retries []time.Time
		at := now
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.Int64Range(0, int64(window)/4).Draw(t, "later")))
			if rapid.Bool().Draw(t, "call") {
				b.Call(at)
				calls = append(calls, at)
				continue
			}
			if !b.Allow(at) {
				continue
			}
			retries = append(retries, at)
			most := share*float64(since(calls, at.Add(-window))) + max(floor, 0)*window.Seconds()
			if n := since(retries, at.Add(-window)); float64(n) > most+1e-9 {
				t.Fatalf("%d retries in a window that allows %.2f", n, most)
			}
		}
	})
}

func since(times []time.Time, begin time.Time) (n int) {
	for _, at := range times {
		if at.After(begin) {
			n++
		}
	}
	return n
}

// R4.16: the budget is spent, not only kept: a provider that fails all calls of
// a steady traffic gets the share on top, and hardly less.
func TestBudgetIsSpent(t *testing.T) {
	t.Parallel()
	b := retry.NewBudget(retry.BudgetConfig{Floor: -1})
	made := 0
	for i := range 100_000 { // 1,000 a second, each wants one retry at once
		at := now.Add(time.Duration(i) * time.Millisecond)
		b.Call(at)
		if b.Allow(at) {
			made++
		}
	}
	t.Logf("100,000 failing calls: %d retries", made)
	if made < 17_000 || made > 20_000 {
		t.Errorf("%d retries, want 17,000 to 20,000", made)
	}
	end := now.Add(100 * time.Second)
	if s := b.Spending(end); s.Calls != 9000 || s.Retries > 2000 || s.Refused != int64(100_000-made) {
		t.Errorf("%+v", s)
	}
	if s := b.Spending(end.Add(time.Hour)); s.Calls != 0 || s.Retries != 0 {
		t.Errorf("an hour later: %+v", s)
	}
}

// R4.16: with little traffic the floor alone allows some.
func TestBudgetFloor(t *testing.T) {
	t.Parallel()
	b := retry.NewBudget(retry.BudgetConfig{})
	b.Call(now)
	for i := range retry.DefaultBudgetFloor * 10 {
		if !b.Allow(now) {
			t.Fatalf("retry %d refused", i+1)
		}
	}
	if b.Allow(now) {
		t.Error("the floor has no end")
	}
	if !b.Allow(now.Add(retry.DefaultBudgetWindow + time.Second)) {
		t.Error("refused still, a window later")
	}
	if b.Allow(now.Add(-time.Hour)) != true {
		t.Error("a clock that goes back")
	}
}

// R4.16, R4.2, and what must not be booked.
func TestNextWithinABudget(t *testing.T) {
	t.Parallel()
	read := retry.Attempt{Number: 1, Status: 503, Failure: failed(integration.ClassUnavailable), Effect: plan.EffectRead, Sent: true, Replayable: true, Started: now}
	b := retry.NewBudget(retry.BudgetConfig{Floor: 0.2, Share: -1}) // two in a window
	free := retry.New(&plan.Plan{}, 0)
	policy := free.Within(b)

	other := read // not retried for a reason of its own: not booked
	other.Number = 9
	if d := policy.Next(other, now, half); d.Retry {
		t.Errorf("%+v", d)
	}
	fresh := read
	fresh.Status, fresh.Failure, fresh.CredentialChanged = 401, failed(integration.ClassUnauthorized), true
	if d := policy.Next(fresh, now, half); !d.Retry {
		t.Errorf("%+v", d)
	}
	if n := b.Spending(now).Retries; n != 0 {
		t.Errorf("%d retries booked, want none yet", n)
	}
	for range 2 {
		if d := policy.Next(read, now, half); !d.Retry {
			t.Errorf("%+v", d)
		}
	}
	d := policy.Next(read, now, half)
	if d.Retry || d.Reason != "the retry budget is used up" || d.Then != retry.Keep {
		t.Errorf("%+v", d)
	}
	if s := b.Spending(now); s.Retries != 2 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
	if d := policy.Next(fresh, now, half); !d.Retry { // R4.2: also when it is used up
		t.Errorf("%+v", d)
	}
	if d := free.Next(read, now, half); !d.Retry {
		t.Errorf("the policy without the budget: %+v", d)
	}
}

// A nil budget is none.
func TestNoBudget(t *testing.T) {
	t.Parallel()
	var b *retry.Budget
	b.Call(now)
	if !b.Allow(now) || b.Spending(now) != (retry.Spending{}) {
		t.Error("a nil budget refuses")
	}
}

func TestBudgetFromManyGoroutines(t *testing.T) {
	t.Parallel()
	b := retry.NewBudget(retry.BudgetConfig{Floor: 1})
	var wg sync.WaitGroup
	allowed := make([]int, 8)
	for i := range allowed {
		wg.Go(func() {
			for range 1000 {
				b.Call(now)
				if b.Allow(now) {
					allowed[i]++
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range allowed {
		sum += n
	}
	if sum > 8000/5+10 || sum < 1000 {
		t.Errorf("%d retries of 8000 calls", sum)
	}
}

func BenchmarkBudget(b *testing.B) {
	budget, at := retry.NewBudget(retry.BudgetConfig{}), now
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Millisecond)
		budget.Call(at)
		budget.Allow(at)
	}
}

package redis

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/breaker"
)

var begun = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func TestParseRecord(t *testing.T) {
	t.Parallel()
	const field = "stripe api.stripe.com"
	r, ok := parseRecord(field, `17 1500000 n ABC {"Host":"elsewhere","State":"open","Openings":3,"Reason":"7 of 9 calls failed"}`, 1_000_000, begun)
	if !ok || r.Host != "api.stripe.com" || r.State != breaker.Opened || r.Openings != 3 || r.version != "17" || r.Reason != "7 of 9 calls failed" {
		t.Errorf("%+v, %t", r, ok)
	}
	if r.until != begun.Add(500*time.Millisecond) {
		t.Errorf("until %s", r.until)
	}
	for _, text := range []string{"", "1", "1 2 n", "1 x n ABC {}", "1 2 n ABC {}", `1 2 n ABC {"State":"half-open"}`, `1 2 n ABC [`, `1 99999999999999999999 n ABC {"State":"open"}`} {
		if r, ok := parseRecord(field, text, 0, begun); ok {
			t.Errorf("%q is taken for %+v", text, r)
		}
	}
	if _, ok := parseRecord("nospace", `1 2 n ABC {"State":"open"}`, 0, begun); ok {
		t.Error("a field without a host is taken")
	}
}

// Others may write what they like.
func FuzzParseRecord(f *testing.F) {
	f.Add("stripe api.stripe.com", `17 1500000 n ABC {"State":"open","Openings":3}`, int64(1_000_000))
	f.Add("s h", `1 -9223372036854775808 nf ABC {"State":"closed","Openings":-5,"Pause":9223372036854775807}`, int64(9223372036854775807))
	f.Add("s h", `1 9223372036854775807 nr - {"State":"open","Openings":4000000000}`, int64(-9223372036854775808))
	f.Fuzz(func(t *testing.T, field, text string, clock int64) {
		r, ok := parseRecord(field, text, clock, begun)
		if !ok {
			return
		}
		if until := r.until.Sub(begun); until > 24*time.Hour || until < -24*time.Hour || r.Openings < 0 || r.Openings > 64 {
			t.Errorf("%q: %+v", text, r)
		}
		s := breaker.New(breaker.Config{Shared: told{r.notice()}})
		_, _ = s.Allow(r.Host)
		s.States()
	})
}

// told is a Shared that tells one thing.
type told struct{ notice breaker.Notice }

func (n told) Subscribe(learn func(breaker.Notice))           { learn(n.notice) }
func (told) Publish(breaker.Notice)                           {}
func (told) Probe(string, int, time.Duration) (string, error) { return "", errDown }
func (told) Probed(string, string, int, breaker.Outcome)      {}

package retain_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/retain"
)

const day = 24 * time.Hour

// shelf is a store that keeps times alone.
type shelf struct {
	mu       sync.Mutex
	payloads map[string][]time.Time // by service, the oldest first
	events   map[string][]time.Time
	calls    map[string][]time.Time
	uses     []time.Time
	turn     integration.HousekeepingTurn
	owner    string
	until    time.Time
	backlog  int
	steps    int
	largest  int
	fail     error
	other    bool // another takes the turn when it runs out
}

// cut takes the oldest up to a number.
func cut(list []time.Time, before time.Time, most int) (gone int, reached time.Time, rest []time.Time) {
	for gone < min(most, len(list)) && list[gone].Before(before) {
		reached = list[gone]
		gone++
	}
	return gone, reached, list[gone:]
}

func (s *shelf) did(n int) {
	s.steps++
	s.largest = max(s.largest, n)
}

func (s *shelf) EmptyPayloads(_ context.Context, e integration.Expiry, step integration.Step) (swept integration.Swept, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	swept.Payloads, swept.Reached, s.payloads[e.Service] = cut(s.payloads[e.Service], e.Payload, step.Rows)
	s.did(swept.Payloads)
	return swept, s.fail
}

func (s *shelf) DeleteEvents(_ context.Context, e integration.Expiry, step integration.Step) (swept integration.Swept, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	swept.Events, swept.Reached, s.events[e.Service] = cut(s.events[e.Service], e.IDs, step.Rows)
	s.did(swept.Events)
	return swept, nil
}

func (s *shelf) DeleteCalls(_ context.Context, service string, before time.Time, step integration.Step) (swept integration.Swept, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	swept.Calls, _, s.calls[service] = cut(s.calls[service], before, step.Rows)
	return swept, nil
}

func (s *shelf) DeleteUses(_ context.Context, before time.Time, step integration.Step) (swept integration.Swept, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	swept.Uses, _, s.uses = cut(s.uses, before, step.Rows)
	return swept, nil
}

func (s *shelf) StoredServices(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.events {
		names = append(names, name)
	}
	return names, nil
}

func (s *shelf) Due(_ context.Context, e integration.Expiry, calls time.Time, most int) (integration.Due, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due integration.Due
	due.Payloads, _, _ = cut(s.payloads[e.Service], e.Payload, most)
	due.Events, _, _ = cut(s.events[e.Service], e.IDs, most)
	due.Calls, _, _ = cut(s.calls[e.Service], calls, most)
	return due, nil
}

func (s *shelf) TakeHousekeeping(_ context.Context, owner string, now, until, begins time.Time) (integration.HousekeepingTurn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.turn.From.IsZero()
	if first {
		s.turn.From = begins
	}
	if s.other && !first {
		s.owner, s.until = "other", now.Add(1000*time.Hour)
	}
	if s.owner == "" || s.owner == owner || !s.until.After(now) {
		s.owner, s.until = owner, until
	}
	return integration.HousekeepingTurn{Mine: s.owner == owner, First: first, From: s.turn.From}, nil
}

func (s *shelf) Backlog() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backlog
}

func (s *shelf) left(service string) (payloads, events, calls, uses int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.payloads[service]), len(s.events[service]), len(s.calls[service]), len(s.uses)
}

// aged are times 1 to n days before now, the oldest first.
func aged(n int) (list []time.Time) {
	for i := n; i > 0; i-- {
		list = append(list, time.Now().Add(-time.Duration(i)*day))
	}
	return list
}

func newShelf(services ...string) *shelf {
	s := &shelf{payloads: map[string][]time.Time{}, events: map[string][]time.Time{}, calls: map[string][]time.Time{}}
	for _, name := range services {
		s.payloads[name], s.events[name], s.calls[name] = aged(200), aged(200), aged(200)
	}
	s.uses = aged(200)
	return s
}

func keeper(t *testing.T, s *shelf, log *bytes.Buffer, change ...func(*retain.Config)) *retain.Keeper {
	t.Helper()
	c := retain.Config{
		Store: s, Services: map[string]retain.Times{"stripe": {Payload: 7 * day, IDs: 120 * day}}, Others: retain.Times{Payload: 30 * day, IDs: 90 * day},
		Calls: 90 * day, Owner: "me", Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil)),
	}
	for _, f := range change {
		f(&c)
	}
	k, err := retain.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// run lets a keeper run for some time.
func run(t *testing.T, k *retain.Keeper, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	k.Run(ctx)
}

// R5.4, R5.7: each service by its plan, what has no plan by the defaults; and
// nothing before the hour that was announced is over.
func TestKeeper(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newShelf("stripe", "gone")
		k := keeper(t, s, &log)
		run(t, k, 59*time.Minute)
		if p, e, c, u := s.left("stripe"); p != 200 || e != 200 || c != 200 || u != 200 || k.Deleted() != 0 {
			t.Fatalf("something went within the first hour: %d, %d, %d, %d", p, e, c, u)
		}
		said := log.String()
		for _, part := range []string{"retention.begins", "service=stripe", "service=gone", "payloads_due=194", "events_due=81", "payloads_due=171", "events_due=111", "calls_due=111", "--retention=off"} {
			if !strings.Contains(said, part) {
				t.Errorf("the announcement lacks %q:\n%s", part, said)
			}
		}
		log.Reset()
		run(t, k, 30*time.Minute)
		if p, e, c, u := s.left("stripe"); p != 6 || e != 119 || c != 89 || u != 89 {
			t.Errorf("of stripe are left %d payloads, %d events, %d calls, %d uses", p, e, c, u)
		}
		if p, e, _, _ := s.left("gone"); p != 29 || e != 89 {
			t.Errorf("of a service without a plan are left %d payloads, %d events", p, e)
		}
		if strings.Contains(log.String(), "retention.begins") || strings.Count(log.String(), "retention.swept") != 1 {
			t.Errorf("said: %s", log.String())
		}
	})
}

// Where calls are kept, so are notes about uses.
func TestKeepsCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf("stripe")
		k := keeper(t, s, &bytes.Buffer{}, func(c *retain.Config) { c.Calls = 0 })
		run(t, k, 2*time.Hour)
		if p, _, c, u := s.left("stripe"); p == 200 || c != 200 || u != 200 {
			t.Errorf("left are %d payloads, %d calls, %d uses", p, c, u)
		}
	})
}

// One process deletes; who loses the turn stops at once.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf("stripe")
		s.other = true
		k := keeper(t, s, &bytes.Buffer{})
		run(t, k, 3*time.Hour)
		if k.Deleted() != 0 {
			t.Errorf("deleted %d while another had the turn", k.Deleted())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.payloads["stripe"] = slices.Repeat([]time.Time{time.Now().Add(-300 * day)}, 10_000)
		s.backlog = 1000 // slow steps, so that the turn has to be kept
		var log bytes.Buffer
		k := keeper(t, s, &log)
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Minute)
		defer cancel()
		go func() {
			time.Sleep(time.Hour + 10*time.Second) // in the bubble: the first pass is under way
			s.mu.Lock()
			s.other = true
			s.mu.Unlock()
		}()
		k.Run(ctx)
		if left, _, _, _ := s.left("stripe"); left == 0 || left == 10_000 {
			t.Errorf("%d are left", left)
		}
		if !strings.Contains(log.String(), "another process") {
			t.Errorf("said %s", log.String())
		}
	})
}

// While the door is behind, steps are small and far between; and yet they go on.
func TestYields(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.payloads["stripe"] = slices.Repeat([]time.Time{time.Now().Add(-300 * day)}, 100_000)
		s.backlog = 4000
		k := keeper(t, s, &bytes.Buffer{})
		run(t, k, time.Hour+time.Minute)
		if left, _, _, _ := s.left("stripe"); s.steps > 60 || s.largest > 100 || left > 99_000+500 || left < 90_000 {
			t.Errorf("%d steps of up to %d, %d are left", s.steps, s.largest, left)
		}
		s.mu.Lock()
		s.backlog = 0
		s.mu.Unlock()
		run(t, k, time.Hour)
		if left, _, _, _ := s.left("stripe"); left != 0 {
			t.Errorf("%d are left when nothing waits any more", left)
		}
	})
}

// What fails is said and tried again.
func TestFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf("stripe")
		s.fail = errors.New("the disk is full")
		var log bytes.Buffer
		k := keeper(t, s, &log)
		run(t, k, 65*time.Minute)
		if !strings.Contains(log.String(), "the disk is full") {
			t.Errorf("said %s", log.String())
		}
		s.mu.Lock()
		s.fail = nil
		s.mu.Unlock()
		run(t, k, time.Hour)
		if p, _, _, _ := s.left("stripe"); p != 6 {
			t.Errorf("%d payloads are left", p)
		}
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	good := retain.Config{Store: newShelf(), Owner: "me", Now: time.Now, Log: slog.Default(), Others: retain.Times{Payload: day, IDs: day}}
	for name, spoil := range map[string]func(*retain.Config){
		"no store":  func(c *retain.Config) { c.Store = nil },
		"no owner":  func(c *retain.Config) { c.Owner = "" },
		"no times":  func(c *retain.Config) { c.Others = retain.Times{} },
		"ids first": func(c *retain.Config) { c.Services = map[string]retain.Times{"a": {Payload: 2 * day, IDs: day}} },
	} {
		c := good
		spoil(&c)
		if _, err := retain.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := retain.New(good); err != nil {
		t.Error(err)
	}
}

// What is new has nothing due, and nobody needs to be warned.
func TestWarnsOnlyOfWhatIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			shelf *shelf
			want  string
		}{{newShelf(), "level=INFO msg=retention.begins"}, {newShelf("stripe"), "level=WARN msg=retention.begins"}} {
			var log bytes.Buffer
			run(t, keeper(t, c.shelf, &log), time.Minute)
			if said := log.String(); strings.Count(said, "retention.begins") != 1 || !strings.Contains(said, c.want) {
				t.Errorf("want %q: %s", c.want, said)
			}
		}
	})
}

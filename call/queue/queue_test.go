package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/call/queue"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// caller makes calls as the test says.
type caller func(context.Context, *integration.Call, func(context.Context) error) integration.CallOutcome

func (c caller) Resume(ctx context.Context, queued *integration.Call, mark func(context.Context) error) integration.CallOutcome {
	return c(ctx, queued, mark)
}

func succeed(_ context.Context, c *integration.Call, _ func(context.Context) error) integration.CallOutcome {
	out := *c
	out.State, out.Status, out.FinishedAt = integration.CallSucceeded, 200, time.Now().UTC()
	return integration.CallOutcome{Call: out}
}

type bundle struct {
	*testing.T
	*queue.Runner
	store *sqlite.Store
	told  chan struct{}
}

func newBundle(t *testing.T, calls caller) *bundle {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "queue.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b := &bundle{T: t, store: store, told: make(chan struct{}, 1000)}
	b.Runner, err = queue.New(queue.Config{
		Queue: store.CallQueue(), Store: store, Services: map[string]queue.Service{"stripe": {Caller: calls}},
		Told: func() { b.told <- struct{}{} }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bundle) put(id string, change ...func(*integration.Call)) {
	b.Helper()
	now := time.Now().UTC()
	c := integration.Call{
		ID: id, Service: "stripe", Tenant: "acme", Method: "POST", Path: "/v1/customers", State: integration.CallQueued, CreatedAt: now, DueAt: now,
		ExpiresAt: now.Add(time.Hour), Body: []byte("a=b"),
	}
	for _, ch := range change {
		ch(&c)
	}
	if err := b.store.Record(b.Context(), &c); err != nil {
		b.Fatal(err)
	}
}

// run runs the queue until done answers true of the call.
func (b *bundle) run(id string, done func(integration.Call) bool) integration.Call {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { b.Runner.Run(ctx) })
	defer running.Wait()
	defer stop()
	deadline := time.After(10 * time.Second)
	for {
		c, err := b.store.Call(b.Context(), id)
		if err == nil && done(c) {
			return c
		}
		select {
		case <-deadline:
			b.Fatalf("%+v, %v", c, err)
		case <-time.After(time.Millisecond):
		}
	}
}

func (b *bundle) read(id string) integration.Call {
	b.Helper()
	c, err := b.store.Call(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func ended(c integration.Call) bool {
	return !c.State.Waiting() && c.State != integration.CallRunning
}

// A finished call tells its callback, once, in the transaction that ends it.
func TestCallback(t *testing.T) {
	t.Parallel()
	b := newBundle(t, succeed)
	b.put("c-1", func(c *integration.Call) { c.Callback = "app" })
	b.run("c-1", ended)
	events, _, err := b.store.Events(t.Context(), integration.Filter{})
	if err != nil || len(events) != 1 || len(b.told) != 1 {
		t.Fatalf("%d events, told %d times, %v", len(events), len(b.told), err)
	}
	if to, own := events[0].Destination(); !own || to != "app" || events[0].Type != integration.EventCallFinished {
		t.Errorf("%+v", events[0])
	}
}

// A turn that panics is a fault of ours: the call may have been sent and is for
// a person; the others go on.
func TestPanic(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(ctx context.Context, c *integration.Call, mark func(context.Context) error) integration.CallOutcome {
		if c.ID == "c-1" {
			panic("boom")
		}
		return succeed(ctx, c, mark)
	})
	b.put("c-1")
	b.put("c-2")
	got := b.run("c-1", ended)
	if got.State != integration.CallUnknown || got.Failure == nil || !strings.Contains(got.Failure.Err.Error(), "boom") || string(got.Body) != "a=b" {
		t.Errorf("%+v", got)
	}
}

// A call whose service has no plan any more waits for it, and is a person's when
// it expires.
func TestWithoutPlan(t *testing.T) {
	t.Parallel()
	b := newBundle(t, succeed)
	b.put("c-1", func(c *integration.Call) { c.Service = "github" })
	b.put("c-2", func(c *integration.Call) { c.Service, c.ExpiresAt = "github", time.Now().UTC() })
	if got := b.run("c-2", ended); got.State != integration.CallFailed || string(got.Body) != "a=b" {
		t.Errorf("%+v", got)
	}
	got := b.read("c-1")
	if !got.State.Waiting() || !got.DueAt.After(time.Now()) || got.Failure == nil || got.Failure.Code != "unknown_service" {
		t.Errorf("%+v", got)
	}
}

// The mark of a turn is the store's, and another turn's is refused.
func TestMark(t *testing.T) {
	t.Parallel()
	marked := make(chan error, 2)
	b := newBundle(t, func(ctx context.Context, c *integration.Call, mark func(context.Context) error) integration.CallOutcome {
		marked <- mark(ctx)
		return succeed(ctx, c, mark)
	})
	b.put("c-1")
	b.run("c-1", ended)
	if err := <-marked; err != nil {
		t.Error(err)
	}
	if err := b.store.BeginTurn(t.Context(), "c-1", 1); !errors.Is(err, integration.ErrState) {
		t.Errorf("after its end: %v", err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if _, err := queue.New(queue.Config{}); err == nil || !strings.Contains(err.Error(), "must be set") {
		t.Errorf("%v", err)
	}
}

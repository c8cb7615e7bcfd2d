package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/breaker"
	"github.com/sallyport/sallyport/breaker/breakertest"
	"github.com/sallyport/sallyport/breaker/redis"
	"github.com/sallyport/sallyport/test/services"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const host = breakertest.Host

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) count(s string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.b.String(), s)
}

func client(tb testing.TB, url string) rueidis.Client {
	tb.Helper()
	option, err := rueidis.ParseURL(url)
	if err != nil {
		tb.Fatal(err)
	}
	option.DisableCache = true
	c, err := rueidis.NewClient(option)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

// instance starts a hub that ends with the test, or by the function.
func instance(tb testing.TB, url, prefix string, log *buffer) (hub *redis.Hub, end func()) {
	tb.Helper()
	c := redis.Config{Client: client(tb, url), Prefix: prefix, Poll: 50 * time.Millisecond, Log: slog.New(slog.NewTextHandler(log, nil))}
	hub = redis.New(c)
	if err := hub.Load(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { hub.Run(ctx) })
	end = func() { cancel(); running.Wait() }
	tb.Cleanup(end)
	return hub, end
}

// R4.10: what holds for breakers shared in memory holds through Redis.
func TestSharedThroughRedis(t *testing.T) {
	t.Parallel()
	server := services.Redis(t)
	var mu sync.Mutex
	worlds := 0
	breakertest.RunShared(t, func(tb testing.TB) func(breaker.Config) *breaker.Set {
		mu.Lock()
		worlds++
		prefix := fmt.Sprintf("test%d:{breaker}:", worlds)
		mu.Unlock()
		return func(c breaker.Config) *breaker.Set {
			hub, _ := instance(tb, server.URL(), prefix, &buffer{})
			c.Shared = hub.Service("stripe")
			return breaker.New(c)
		}
	})
}

// world is two instances at a Redis.
type world struct {
	*testing.T
	server   *services.Server
	log      buffer
	one, two *breaker.Set
}

func begin(t *testing.T, c breaker.Config) *world {
	t.Helper()
	w := &world{T: t, server: services.Redis(t)}
	w.one, w.two = w.join(c), w.join(c)
	return w
}

func (w *world) join(c breaker.Config) *breaker.Set {
	w.Helper()
	hub, _ := instance(w, w.server.URL(), "", &w.log)
	c.Shared = hub.Service("stripe")
	return breaker.New(c)
}

func (w *world) open(s *breaker.Set) {
	w.Helper()
	for range breaker.DefaultMinimum {
		pass, err := s.Allow(host)
		if err != nil {
			w.Fatal(err)
		}
		pass.Done(breaker.Failure, 0)
	}
}

func (w *world) eventually(what string, is func() bool) {
	w.Helper()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	end := time.NewTimer(20 * time.Second)
	defer end.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-end.C:
			w.Fatalf("not in time: %s; the log says\n%s", what, w.log.b.String())
		}
	}
}

func (w *world) becomes(s *breaker.Set, want breaker.State) {
	w.Helper()
	w.eventually(fmt.Sprintf("it is %s", want), func() bool { return s.State(host).State == want })
}

const (
	gone = "Redis does not answer"
	back = "Redis is back"
)

// R4.10: Redis goes away and comes back empty. Meanwhile each instance goes by
// itself, no call waits for it, and each says so once; then what was found
// meanwhile is shared.
func TestRedisRestarted(t *testing.T) {
	t.Parallel()
	w := begin(t, breaker.Config{})
	w.open(w.one)
	w.becomes(w.two, breaker.Opened)
	w.one.Reset(host)
	w.becomes(w.two, breaker.Closed)

	w.server.Kill()
	w.eventually("both say that it is gone", func() bool { return w.log.count(gone) == 2 })
	w.open(w.one)
	if s := w.two.State(host); s.State != breaker.Closed {
		t.Errorf("without Redis: %+v", s)
	}
	w.server.Start()
	w.eventually("both say that it is back", func() bool { return w.log.count(back) == 2 })
	w.becomes(w.two, breaker.Opened)
	if n := w.log.count(gone); n != 2 {
		t.Errorf("%d warnings, want one each", n)
	}
}

// What Redis forgot while it was down is told again: a new instance begins with
// it.
func TestWhatWasForgottenIsToldAgain(t *testing.T) {
	t.Parallel()
	w := begin(t, breaker.Config{})
	w.one.Force("forced.example.com", breaker.Opened)
	w.open(w.one)
	w.becomes(w.two, breaker.Opened)
	w.server.Kill()
	w.eventually("both say that it is gone", func() bool { return w.log.count(gone) == 2 })
	w.server.Start()
	w.eventually("both say that it is back", func() bool { return w.log.count(back) == 2 })
	three := w.join(breaker.Config{})
	w.becomes(three, breaker.Opened)
	w.eventually("what is forced is told too", func() bool { return three.State("forced.example.com").Forced })
}

// Without Redis a half-open breaker probes by itself.
func TestProbesWithoutRedis(t *testing.T) {
	t.Parallel()
	w := begin(t, breaker.Config{Pause: 20 * time.Millisecond})
	w.server.Kill()
	w.eventually("both say that it is gone", func() bool { return w.log.count(gone) == 2 })
	w.open(w.one)
	w.eventually("it closes", func() bool {
		pass, err := w.one.Allow(host)
		if err == nil {
			pass.Done(breaker.Success, 0)
		}
		return w.one.State(host).State == breaker.Closed
	})
}

// A new instance begins with what is known at once, and what an instance found
// last is told though it stops.
func TestJoinAndLeave(t *testing.T) {
	t.Parallel()
	server := services.Redis(t)
	hub, end := instance(t, server.URL(), "", &buffer{})
	one := breaker.New(breaker.Config{Shared: hub.Service("stripe")})
	one.Force(host, breaker.Opened)
	end()
	hub, _ = instance(t, server.URL(), "", &buffer{})
	two := breaker.New(breaker.Config{Shared: hub.Service("stripe")})
	if _, err := two.Allow(host); err == nil {
		t.Error("a new instance let a call through")
	}
	other := breaker.New(breaker.Config{Shared: hub.Service("stripe/test")})
	if _, err := other.Allow(host); err != nil {
		t.Errorf("another service is held back: %v", err)
	}
}

// A call that is let through, or refused while the pause lasts, asks nothing of
// Redis.
func TestNoRoundTrips(t *testing.T) {
	t.Parallel()
	w := begin(t, breaker.Config{})
	c := client(t, w.server.URL())
	commands := func() int64 {
		info, err := c.Do(t.Context(), c.B().Info().Section("commandstats").Build()).ToString()
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		for line := range strings.Lines(info) {
			if name, counts, ok := strings.Cut(line, ":calls="); ok && (name == "cmdstat_zadd" || name == "cmdstat_zcard" || name == "cmdstat_hset") {
				var calls int64
				_, _ = fmt.Sscanf(counts, "%d", &calls)
				n += calls
			}
		}
		return n
	}
	for range 10_000 {
		pass, err := w.one.Allow(host)
		if err != nil {
			t.Fatal(err)
		}
		pass.Done(breaker.Success, time.Millisecond)
	}
	if n := commands(); n != 0 {
		t.Errorf("%d commands while closed", n)
	}
	w.one.Force(host, breaker.Opened)
	w.becomes(w.two, breaker.Opened)
	before := commands()
	for range 10_000 {
		_, _ = w.two.Allow(host)
	}
	if n := commands() - before; n != 0 {
		t.Errorf("%d commands while open", n)
	}
}

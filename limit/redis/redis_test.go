package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/limit/limittest"
	"github.com/sallyport/sallyport/limit/redis"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/test/services"
)

// open opens n Limiters that share one group.
func open(t testing.TB, client rueidis.Client, n int, c limit.Config) []*limit.Limiter {
	t.Helper()
	name := fmt.Sprintf("group%d", group.Add(1))
	limiters := make([]*limit.Limiter, n)
	for i := range limiters {
		c := c
		shared := limit.Shared{Patience: 200 * time.Millisecond} // of a test on a machine with much to do
		if c.Shared != nil {
			shared = *c.Shared
		}
		shared.Ledger = redis.New(client, name)
		c.Shared = &shared
		limiters[i] = limit.New(c)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = limiters[i].Close(ctx)
		})
	}
	return limiters
}

func TestConformance(t *testing.T) {
	t.Parallel()
	client := connect(t, services.Redis(t))
	limittest.Run(t, func(t testing.TB, n int, c limit.Config) []*limit.Limiter { return open(t, client, n, c) })
}

// log keeps what is logged.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// until waits for something to come true.
func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !true() {
		if time.Now().After(deadline) {
			t.Fatalf("not in 20s: %s", what)
		}
		<-tick.C
	}
}

// R4.13: Redis is stopped and started in the middle of the load. The limit is
// never exceeded, calls go on, it is told once, and all is shared again.
func TestRedisRestarts(t *testing.T) {
	t.Parallel()
	server := services.Redis(t)
	client := connect(t, server)
	var said log
	limiters := open(t, client, 3, limit.Config{
		Limits:      catalog.Limits{List: []catalog.Limit{{Name: "second", Limit: 300, Window: 1, Scope: "account"}}},
		Environment: "production", Plan: plan.Limits{Headroom: 100, Wait: plan.Duration(time.Minute)},
		Shared: &limit.Shared{Log: slog.New(slog.NewTextHandler(&said, nil)), Patience: 200 * time.Millisecond},
	})
	until(t, "all know of all", func() bool {
		for _, l := range limiters {
			if l.Instances() != 3 {
				return false
			}
		}
		return true
	})
	var record limittest.Recorder
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for _, l := range limiters {
		wg.Go(func() { record.Saturate(ctx, t, l, 150, limit.Request{}) })
	}
	until(t, "turns", func() bool { return len(record.Turns()) > 400 })
	server.Kill()
	until(t, "three warnings", func() bool { return said.count("level=WARN") == 3 })
	before := len(record.Turns())
	until(t, "turns without Redis", func() bool { return len(record.Turns()) > before+600 })
	server.Start()
	until(t, "it is said that all is shared again", func() bool { return said.count("shared again") == 3 })
	before = len(record.Turns())
	until(t, "turns with Redis", func() bool { return len(record.Turns()) > before+900 })
	cancel()
	wg.Wait()
	if most := limittest.Most(record.Turns(), time.Second); most > 300 {
		t.Errorf("%d turns in a second, want at most 300", most)
	}
	if n := said.count("level=WARN"); n != 3 {
		t.Errorf("%d warnings of three instances", n)
	}
}

// No call waits for a Redis that hangs, but the first ones, for a moment.
func TestRedisHangs(t *testing.T) {
	t.Parallel()
	server := services.Redis(t)
	client := connect(t, server)
	l := open(t, client, 1, limit.Config{
		Limits:      catalog.Limits{List: []catalog.Limit{{Name: "minute", Limit: 1000, Window: 60, Scope: "account"}}},
		Environment: "production", Plan: plan.Limits{Headroom: 100, Wait: plan.Duration(time.Minute)},
		Shared: &limit.Shared{Patience: 15 * time.Millisecond},
	})[0]
	if _, err := l.Take(t.Context(), limit.Request{}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(server.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(server.PID(), syscall.SIGCONT) }()
	var longest, all time.Duration
	for range 500 {
		turn, err := l.Take(t.Context(), limit.Request{})
		if err != nil {
			t.Fatal(err)
		}
		longest, all = max(longest, turn.Waited), all+turn.Waited
	}
	if longest > 300*time.Millisecond || all > 400*time.Millisecond {
		t.Errorf("a call waited %s, all together %s", longest, all)
	}
}

// A Redis that is not there from the beginning does not keep calls from being
// made.
func TestNoRedis(t *testing.T) {
	t.Parallel()
	server := services.Redis(t)
	client := connect(t, server)
	server.Stop()
	l := open(t, client, 1, limit.Config{
		Limits:      catalog.Limits{List: []catalog.Limit{{Name: "hour", Limit: 100, Window: 3600, Scope: "account"}}},
		Environment: "production", Plan: plan.Limits{Headroom: 80, Wait: 1},
		Shared: &limit.Shared{Instances: 4},
	})[0]
	n := 0
	until(t, "an even part", func() bool {
		if _, err := l.Take(t.Context(), limit.Request{}); err == nil {
			n++
		}
		return n == 20
	})
	if _, err := l.Take(t.Context(), limit.Request{}); err == nil {
		t.Error("more than an even part of four instances")
	}
	server.Start()
	until(t, "the whole share", func() bool {
		if _, err := l.Take(t.Context(), limit.Request{}); err == nil {
			n++
		}
		return n == 80
	})
	if _, err := l.Take(t.Context(), limit.Request{}); err == nil {
		t.Error("what was taken without Redis is forgotten")
	}
}

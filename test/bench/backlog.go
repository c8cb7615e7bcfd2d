package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// backlogSample is what a gateway does whose app was away until many events
// waited.
type backlogSample struct {
	Events         int
	First, Last    float64       // events/s at the door: the first and the last tenth
	Memory         [2]int64      // KiB: empty, and with all of them waiting
	Restarted      int64         // KiB, of a process that began with them
	Start          time.Duration // until that process listens
	Alone          loadResult    // 200/s while nothing is delivered
	Draining       loadResult    // 200/s while the backlog is delivered
	Drained        float64       // deliveries/s meanwhile
	DrainingMemory int64         // KiB
}

// awayApp answers 503 until it is back.
type awayApp struct {
	back  atomic.Bool
	there *sink
}

func (a *awayApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !a.back.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	a.there.ServeHTTP(w, r)
}

// measureBacklog lets events wait, starts the gateway again, and lets the app
// come back. Bounded by 20 minutes.
func measureBacklog(ctx context.Context, binary string, events int) (backlogSample, error) {
	var s backlogSample
	dir, err := os.MkdirTemp("", "sallyport-bench-*")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	app := &awayApp{there: &sink{more: make(chan struct{}, 1)}}
	address, stop, err := serveApp(ctx, app)
	if err != nil {
		return s, err
	}
	defer stop()
	plan := fmt.Sprintf(deliveryPlan, address)
	g, err := startGateway(ctx, binary, plan, dir)
	if err != nil {
		return s, err
	}
	defer func() { _ = g.cmd.Process.Kill() }()
	s.Memory[0] = memory(g.cmd.Process.Pid)
	if err := s.fill(ctx, g, events); err != nil {
		return s, err
	}
	s.Memory[1] = memory(g.cmd.Process.Pid)
	if err := g.stop(); err != nil {
		return s, err
	}
	begin := time.Now()
	if g, err = startGateway(ctx, binary, plan, dir); err != nil {
		return s, err
	}
	defer func() { _ = g.cmd.Process.Kill() }()
	s.Start = time.Since(begin)
	const window = 10 * time.Second
	if s.Alone, err = load(ctx, g.address, "/api/webhooks/stripe", 64, 200, window/4, window); err != nil {
		return s, err
	}
	s.Restarted = memory(g.cmd.Process.Pid)
	app.back.Store(true)
	for app.there.count() == 0 { // the gateway tries again when its back-off ends
		select {
		case <-app.there.more:
		case <-ctx.Done():
			return s, fmt.Errorf("nothing was delivered once the app was back: %w", ctx.Err())
		}
	}
	from, at := app.there.count(), time.Now()
	if s.Draining, err = load(ctx, g.address, "/api/webhooks/stripe", 64, 200, window/4, window); err != nil {
		return s, err
	}
	s.Drained = float64(app.there.count()-from) / time.Since(at).Seconds()
	s.DrainingMemory = memory(g.cmd.Process.Pid)
	return s, g.stop()
}

// fill the database by the door, in ten parts.
func (s *backlogSample) fill(ctx context.Context, g *running, events int) error {
	part, rates := 0, []float64{}
	for s.Events < events {
		r, err := load(ctx, g.address, "/api/webhooks/stripe", 64, 0, 0, 5*time.Second)
		if err == nil && (r.Failed > 0 || r.Answered == 0) {
			err = fmt.Errorf("%d requests failed: %s", r.Failed, r.Failure)
		}
		if err != nil {
			return err
		}
		s.Events += r.Answered
		rates = append(rates, r.PerSecond)
		if s.Events*10/events > part {
			part = s.Events * 10 / events
			fmt.Fprintf(os.Stderr, "backlog: %d events wait, %.0f/s\n", s.Events, r.PerSecond)
		}
	}
	tenth := max(1, len(rates)/10)
	s.First, s.Last = mean(rates[:tenth]), mean(rates[len(rates)-tenth:])
	return nil
}

func mean(values []float64) (sum float64) {
	for _, v := range values {
		sum += v / float64(len(values))
	}
	return sum
}

func backlogReport(s backlogSample) string {
	var b strings.Builder
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	mb := func(kib int64) float64 { return float64(kib) / 1024 }
	fmt.Fprintf(&b, "### A backlog of %d events\n\nThe app answers 503 until that many wait; the gateway is started again with them, and the app comes back.\n\n", s.Events)
	fmt.Fprintf(&b, "| | door, events/s | door p50 ms | door p99 ms | delivered/s | memory MB |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	fmt.Fprintf(&b, "| first tenth, 64 connections; empty | %.0f | | | | %.0f |\n", s.First, mb(s.Memory[0]))
	fmt.Fprintf(&b, "| last tenth; all waiting | %.0f | | | | %.0f |\n", s.Last, mb(s.Memory[1]))
	fmt.Fprintf(&b, "| started again (listens after %.2f s), 200/s | %.0f | %.2f | %.2f | 0 | %.0f |\n", s.Start.Seconds(), s.Alone.PerSecond, ms(s.Alone.P50), ms(s.Alone.P99), mb(s.Restarted))
	fmt.Fprintf(&b, "| the app is back, 200/s | %.0f | %.2f | %.2f | %.0f | %.0f |\n\n", s.Draining.PerSecond, ms(s.Draining.P50), ms(s.Draining.P99), s.Drained, mb(s.DrainingMemory))
	return b.String()
}

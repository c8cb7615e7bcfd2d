package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// appSecret signs the deliveries of a run.
const appSecret = "bench-app"

// deliveryPlan maps every event of the load and hands it to the sink.
const deliveryPlan = `sallyport: 1
service: stripe
uses: stripe
need: Measure from the door to the app.
environments:
  development:
    base_url: http://127.0.0.1:9
    secrets: {api_key: env:BENCH_KEY, webhook_secret: env:BENCH_SECRET}
auth: {use: api_key}
endpoints:
  get_invoice: {call: "GET /v1/invoices/{invoice}", purpose: Read an invoice., effect: read}
mappings:
  invoice:
    - {external: id, type: string, internal: stripeInvoiceId, as: string, direction: in}
    - {external: amount_due, type: integer, internal: amountDue, as: decimal, transform: money(currency), direction: in}
    - {external: amount_paid, type: integer, internal: amountPaid, as: decimal, transform: money(currency), direction: in}
    - {external: created, type: unix, internal: createdAt, as: datetime, direction: in}
    - {external: customer, type: string, internal: customerId, as: string, direction: in}
    - {external: customer_email, type: string, internal: email, as: string, direction: in, class: pii}
    - {external: number, type: string, internal: number, as: string, direction: in}
    - {external: status, type: string, internal: status, as: enum, direction: in, values: {draft: DRAFT, open: OPEN, paid: PAID, void: VOID, uncollectible: LOST}}
    - {external: metadata.tenant_id, type: string, internal: tenantId, as: uuid, direction: in}
    - {external: metadata.sent_ns, type: string, internal: sentNs, as: string, direction: in}
webhooks:
  tenant: json:data.object.metadata.tenant_id
  order_by: json:data.object.id
  events:
    invoice.paid: {from: data.object, map: invoice, to: sink}
destinations:
  sink: {url: "http://%s/", secret: env:BENCH_APP}
`

// deliverySample is one round from the door to the app.
type deliverySample struct {
	rate      float64 // offered; 0 is as fast as the door takes them
	PerSecond float64 // delivered, from the first event sent to the last delivered
	P50, P99  time.Duration
	CPU       float64 // seconds per 10,000 events delivered
}

// sink is the app: it reads, notes when what it got was sent, and answers 200.
type sink struct {
	mu   sync.Mutex
	took []time.Duration
	last time.Time
	more chan struct{}
}

var sentField = []byte(`"sentNs":"`)

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	now := time.Now()
	if i := bytes.Index(body, sentField); err == nil && i >= 0 {
		at := body[i+len(sentField):]
		if ns, err := strconv.ParseInt(string(at[:min(len(sentMark), len(at))]), 10, 64); err == nil {
			s.mu.Lock()
			s.took = append(s.took, now.Sub(time.Unix(0, ns)))
			s.last = now
			s.mu.Unlock()
			select {
			case s.more <- struct{}{}:
			default:
			}
		}
	}
	w.WriteHeader(http.StatusOK)
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.took)
}

func measureDelivery(ctx context.Context, binary string, rounds int, length time.Duration) ([]deliverySample, error) {
	var out []deliverySample
	for _, rate := range []float64{0, 200} {
		for round := range rounds {
			fmt.Fprintf(os.Stderr, "delivery at %v/s   round %d/%d\n", rate, round+1, rounds)
			one, err := deliveryRound(ctx, binary, rate, length)
			if err != nil {
				return nil, fmt.Errorf("delivery: %w", err)
			}
			out = append(out, one)
		}
	}
	return out, nil
}

func deliveryRound(ctx context.Context, binary string, rate float64, length time.Duration) (deliverySample, error) {
	dir, err := os.MkdirTemp("", "sallyport-bench-*")
	if err != nil {
		return deliverySample{}, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, 2*length+2*time.Minute)
	defer cancel()
	app := &sink{more: make(chan struct{}, 1)}
	at, stop, err := serveApp(ctx, app)
	if err != nil {
		return deliverySample{}, err
	}
	defer stop()
	g, err := startGateway(ctx, binary, fmt.Sprintf(deliveryPlan, at), dir)
	if err != nil {
		return deliverySample{}, err
	}
	begin := time.Now()
	sent, err := load(ctx, g.address, "/api/webhooks/stripe", 64, rate, 0, length)
	if err == nil && sent.Failed > 0 {
		err = fmt.Errorf("%d requests failed: %s", sent.Failed, sent.Failure)
	}
	// What was answered in the last moment may not have been counted as
	// answered, so the app may get a few more.
	for err == nil && app.count() < sent.Answered {
		select {
		case <-app.more:
		case <-ctx.Done():
			err = fmt.Errorf("%d of %d events were delivered: %w", app.count(), sent.Answered, ctx.Err())
		}
	}
	if err := errors.Join(err, g.stop()); err != nil {
		return deliverySample{}, err
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	slices.Sort(app.took)
	n := len(app.took)
	cpu := g.cmd.ProcessState.UserTime() + g.cmd.ProcessState.SystemTime()
	return deliverySample{
		rate: rate, PerSecond: float64(n) / app.last.Sub(begin).Seconds(), P50: app.took[n/2], P99: app.took[n*99/100],
		CPU: cpu.Seconds() / float64(n) * 10_000,
	}, nil
}

// serveApp serves an app on a port of its own.
func serveApp(ctx context.Context, app http.Handler) (address string, stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: app, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }()
	return l.Addr().String(), func() { server.Close() }, nil
}

// running is a gateway that was started.
type running struct {
	cmd     *exec.Cmd
	address string
	log     *os.File // a full log is part of what is measured
}

// startGateway starts one on a folder, whose database and plan stay for the next.
func startGateway(ctx context.Context, binary, plan, dir string) (*running, error) {
	cmd, err := gatewayWith(binary, plan)(ctx, dir)
	if err != nil {
		return nil, err
	}
	g := &running{cmd: cmd}
	if g.log, err = os.Create(filepath.Join(dir, "stderr.log")); err != nil {
		return nil, err
	}
	cmd.Stderr = g.log
	g.address, err = started(cmd)
	return g, err
}

// stop ends it as an operator does.
func (g *running) stop() error {
	defer g.log.Close()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return g.cmd.Wait()
}

// deliveryReport is the section of the report from the door to the app.
func deliveryReport(samples []deliverySample) string {
	var b strings.Builder
	b.WriteString("## From the door to the app\n\nSent, stored, mapped (ten fields), signed, delivered to an HTTP server in the load generator, one attempt row stored each. As fast as the\n" +
		"door takes them, the door wins and a backlog grows; the rate counts until the last one is delivered.\n\n" +
		"| offered | delivered/s | p50 ms | p99 ms | CPU-s per 10,000 |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, rate := range []float64{0, 200} {
		var of []deliverySample
		for _, s := range samples {
			if s.rate == rate {
				of = append(of, s)
			}
		}
		offered, p50, p99 := "200/s", "", ""
		if rate == 0 {
			offered = "64 connections"
		}
		p50 = fmt.Sprintf("%.2f", median(of, func(s deliverySample) float64 { return float64(s.P50) / 1e6 }))
		p99 = fmt.Sprintf("%.2f", median(of, func(s deliverySample) float64 { return float64(s.P99) / 1e6 }))
		if rate == 0 {
			p50, p99 = "backlog", "backlog"
		}
		fmt.Fprintf(&b, "| %s | %.0f | %s | %s | %.2f |\n", offered, median(of, func(s deliverySample) float64 { return s.PerSecond }), p50, p99,
			median(of, func(s deliverySample) float64 { return s.CPU }))
	}
	b.WriteString("\n")
	return b.String()
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A side is one server under test.
type side struct {
	name  string
	path  string
	limit string // the name of the side that it is measured against
	start func(ctx context.Context, dir string) (*exec.Cmd, error)
	after func() error // looks at what a round left behind; nil: nothing does
}

// sample is one round of one side.
type sample struct {
	loadResult
	CPU float64 // seconds per 10,000 events answered during warm-up and round
	PSS int64   // proportional memory at the end of the round, KiB
}

// groupOnSQLite is the limit that the usual store is measured against.
const groupOnSQLite = "group commit, nothing else"

// A setting is one way of loading every side.
type setting struct {
	name        string
	connections int
	rate        float64
}

var settings = []setting{
	{"64 connections", 64, 0},
	{"256 connections", 256, 0},
	{"200/s", 64, 200},
}

// measureIngest measures the way from a signed webhook to 200, on every side.
func measureIngest(ctx context.Context, binary, postgres string, rounds int, length time.Duration) ([]side, map[string]map[string][]sample, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	binary, err = filepath.Abs(binary)
	if err != nil {
		return nil, nil, err
	}
	floor := func(mode string) func(context.Context, string) (*exec.Cmd, error) {
		return func(ctx context.Context, dir string) (*exec.Cmd, error) {
			return exec.CommandContext(ctx, self, "-floor", mode, "-file", filepath.Join(dir, "floor.db")), nil
		}
	}
	sides := []side{
		{name: "verify and answer, nothing stored", path: "/in", limit: groupOnSQLite, start: floor("verify")},
		{name: groupOnSQLite, path: "/in", limit: groupOnSQLite, start: floor("group")},
		{name: "sallyport serve", path: "/api/webhooks/stripe", limit: groupOnSQLite, start: gateway(binary)},
	}
	if postgres != "" {
		sides = append(sides, postgresSides(self, binary, postgres)...)
	}
	results := make(map[string]map[string][]sample)
	for _, s := range settings {
		results[s.name] = make(map[string][]sample)
		for round := range rounds {
			for i := range sides { // the order turns, so that no side is always first
				one := sides[(i+round)%len(sides)]
				fmt.Fprintf(os.Stderr, "%-16s round %d/%d  %s\n", s.name, round+1, rounds, one.name)
				r, err := measureRound(ctx, one, s, length)
				if err != nil {
					return nil, nil, fmt.Errorf("%s, %s: %w", one.name, s.name, err)
				}
				results[s.name][one.name] = append(results[s.name][one.name], r)
			}
		}
	}
	return sides, results, nil
}

func measure(ctx context.Context, binary, postgres string, rounds int, length time.Duration, backlog int) (string, error) {
	sides, results, err := measureIngest(ctx, binary, postgres, rounds, length)
	if err != nil {
		return "", err
	}
	delivered, err := measureDelivery(ctx, binary, rounds, length)
	if err != nil {
		return "", err
	}
	waiting := ""
	if backlog > 0 {
		s, err := measureBacklog(ctx, binary, backlog)
		if err != nil {
			return "", fmt.Errorf("backlog: %w", err)
		}
		waiting = backlogReport(s)
	}
	old, err := measureRetention(ctx, binary, rounds, length)
	if err != nil {
		return "", err
	}
	outbound, err := measureLayers(rounds, length)
	if err != nil {
		return "", err
	}
	micro, err := microBenchmarks(ctx)
	if err != nil {
		return "", err
	}
	return report(sides, results, deliveryReport(delivered)+waiting+retentionReport(old), rounds, length, outbound, micro), nil
}

func measureRound(ctx context.Context, one side, s setting, length time.Duration) (sample, error) {
	dir, err := os.MkdirTemp("", "sallyport-bench-*")
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, length*2+30*time.Second)
	defer cancel()
	cmd, err := one.start(ctx, dir)
	if err != nil {
		return sample{}, err
	}
	log, err := os.Create(filepath.Join(dir, "stderr.log")) // a full log is part of what is measured
	if err != nil {
		return sample{}, err
	}
	defer log.Close()
	cmd.Stderr = log
	address, err := started(cmd)
	if err != nil {
		return sample{}, err
	}
	r, err := load(ctx, address, one.path, s.connections, s.rate, length/4, length)
	pss := memory(cmd.Process.Pid)
	if stopErr := cmd.Process.Signal(syscall.SIGTERM); stopErr != nil {
		err = errors.Join(err, stopErr)
	}
	if waitErr := cmd.Wait(); waitErr != nil {
		err = errors.Join(err, fmt.Errorf("it did not stop well: %w", waitErr))
	}
	if err == nil && r.Failed > 0 {
		err = fmt.Errorf("%d requests failed, the first with: %s", r.Failed, r.Failure)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if err == nil && one.after != nil {
		err = one.after()
	}
	total := float64(r.Answered) * 1.25 // the warm-up counts as well
	return sample{loadResult: r, CPU: cpu.Seconds() / total * 10_000, PSS: pss}, err
}

// started runs cmd and reads the address it listens on: the first line it
// prints, or the last word of that line.
func started(cmd *exec.Cmd) (string, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) == 0 {
		return "", fmt.Errorf("%s said nothing: %w", cmd.Path, err)
	}
	return strings.TrimPrefix(fields[len(fields)-1], "http://"), nil
}

// gateway starts the product on an empty folder, with a plan that keeps the
// event type of the load and hands it to a Go-less destination: none. What is
// measured is the door.
func gateway(binary string) func(context.Context, string) (*exec.Cmd, error) {
	return gatewayWith(binary, benchPlan)
}

func gatewayWith(binary, plan string) func(context.Context, string) (*exec.Cmd, error) {
	return func(ctx context.Context, dir string) (*exec.Cmd, error) {
		return gatewayOn(ctx, binary, plan, dir, "sqlite:"+filepath.Join(dir, "bench.db"))
	}
}

// gatewayOn is the product on a database.
func gatewayOn(ctx context.Context, binary, plan, dir, database string) (*exec.Cmd, error) {
	plans := filepath.Join(dir, "plans")
	if err := os.MkdirAll(plans, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(plans, "stripe.yaml"), []byte(plan), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "serve", "--plans", plans, "--environment", "development",
		"--listen", "127.0.0.1:0", "--database", database, "--log-level", "info")
	cmd.Env = append(os.Environ(), "BENCH_KEY=sk_test_bench", "BENCH_SECRET="+secret, "BENCH_APP="+appSecret)
	return cmd, nil
}

// benchPlan keeps invoices for later: the load's type is not among its events,
// so that delivery does not share the machine with the door. The event is
// verified, stored and deduplicated like any other.
const benchPlan = `sallyport: 1
service: stripe
uses: stripe
need: Measure the door.
environments:
  development:
    base_url: http://127.0.0.1:9
    secrets: {api_key: env:BENCH_KEY, webhook_secret: env:BENCH_SECRET}
auth: {use: api_key}
endpoints:
  get_invoice:
    call: GET /v1/invoices/{invoice}
    purpose: Read an invoice.
    effect: read
webhooks:
  tenant: json:data.object.metadata.tenant_id
  order_by: json:data.object.id
  events:
    customer.created: {from: data.object, to: nowhere}
destinations:
  nowhere: {url: "http://127.0.0.1:9/", secret: env:BENCH_APP}
`

// memory is the proportional set size of a process in KiB; zero where /proc
// does not tell.
func memory(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

// microBenchmarks runs the packages' own benchmarks and returns their lines.
func microBenchmarks(ctx context.Context) (string, error) {
	fmt.Fprintln(os.Stderr, "benchmarks of the packages")
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", ".", "-benchmem", "-benchtime", "1s",
		"./mapping", "./verify", "./call", "./store/...", "./draft", "./plan")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go test -bench: %w\n%s", err, out)
	}
	var b strings.Builder
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Benchmark") || strings.HasPrefix(line, "pkg:") {
			b.WriteString(line)
		}
	}
	return b.String(), nil
}

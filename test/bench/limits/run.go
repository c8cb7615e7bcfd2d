package main

import (
	"context"
	"encoding/gob"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/test/services"
)

// load is how calls are offered to the processes.
type load struct {
	name  string
	rates []float64 // a second; 0: callers wait in line
}

var loads = []load{
	{"even", []float64{500, 500, 500, 500}},
	{"uneven", []float64{1700, 100, 100, 100}},
}

var inLine = load{"waiting in line", []float64{0, 0, 0, 0}}

// row is a limiter under a load, and what was measured in each round.
type row struct {
	limiter string
	load    load
	rounds  []figures
}

type figures struct {
	used, peak, p50, p99, trips, cpu float64
}

func run(ctx context.Context, rounds int, length time.Duration) error {
	tb := &process{ctx: ctx}
	defer tb.end()
	server := services.Redis(tb)
	var rows []*row
	for _, l := range loads {
		for _, name := range []string{ours, theirs, theirsB} {
			rows = append(rows, &row{limiter: name, load: l})
		}
	}
	rows = append(rows, &row{limiter: ours, load: inLine})
	for n := range rounds {
		for i, r := range rows {
			f, err := round(ctx, server, r, fmt.Sprintf("bench-%d-%d", n, i), length)
			if err != nil {
				return err
			}
			r.rounds = append(r.rounds, f)
		}
	}
	fmt.Print(table(rows, rounds, length))
	return nil
}

// round runs the processes once.
func round(ctx context.Context, server *services.Server, r *row, key string, length time.Duration) (figures, error) {
	self, err := os.Executable()
	if err != nil {
		return figures{}, err
	}
	start := time.Now().Add(time.Second)
	before := cpu(server.PID())
	results := make([]result, len(r.load.rates))
	problems := make([]error, len(results))
	var wg sync.WaitGroup
	for i, rate := range r.load.rates {
		wg.Go(func() {
			cmd := exec.CommandContext(ctx, self, "-child", r.limiter, "-redis", server.Addr(), "-key", key, "-rate", fmt.Sprint(rate),
				"-start", strconv.FormatInt(start.UnixNano(), 10), "-length", length.String())
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				problems[i] = err
				return
			}
			err = gob.NewDecoder(out).Decode(&results[i])
			problems[i] = cmd.Wait()
			if problems[i] == nil {
				problems[i] = err
			}
		})
	}
	wg.Wait()
	for i, err := range problems {
		if err != nil {
			return figures{}, fmt.Errorf("%s: process %d: %w", r.limiter, i, err)
		}
		if results[i].Errors > 0 {
			return figures{}, fmt.Errorf("%s: %d errors, such as %s", r.limiter, results[i].Errors, results[i].Problem)
		}
	}
	return measure(results, start, length, cpu(server.PID())-before), nil
}

func measure(results []result, start time.Time, length, busy time.Duration) figures {
	var given, took []int64
	var calls, trips float64
	for _, r := range results {
		given, took = append(given, r.Given...), append(took, r.Took...)
		calls += float64(r.Calls)
		trips += float64(r.Trips)
	}
	slices.Sort(given)
	slices.Sort(took)
	peak, steady, first := 0, 0, 0
	for i, at := range given {
		for at-given[first] >= int64(time.Second) {
			first++
		}
		peak = max(peak, i-first+1)
		if at >= start.Add(time.Second).UnixNano() && at < start.Add(length).UnixNano() {
			steady++
		}
	}
	quantile := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))]) / 1e3 }
	return figures{
		used: float64(steady) / perSecond / (length - time.Second).Seconds(), peak: float64(peak) / perSecond,
		p50: quantile(0.5), p99: quantile(0.99), trips: trips / calls, cpu: float64(busy.Microseconds()) / calls,
	}
}

func table(rows []*row, rounds int, length time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Four processes share %d calls/s through one Redis; %d rounds of %s, medians.\n\n", perSecond, rounds, length)
	b.WriteString("| load | limiter | of the limit used | peak in any second | p50 µs | p99 µs | round trips per call | Redis CPU µs per call |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		m := func(of func(figures) float64) float64 {
			values := make([]float64, len(r.rounds))
			for i, f := range r.rounds {
				values[i] = of(f)
			}
			slices.Sort(values)
			return values[len(values)/2]
		}
		fmt.Fprintf(&b, "| %s | %s | %.4f | %.3f × | %.2f | %.0f | %.3f | %.2f |\n", r.load.name, r.limiter,
			m(func(f figures) float64 { return f.used }), m(func(f figures) float64 { return f.peak }), m(func(f figures) float64 { return f.p50 }),
			m(func(f figures) float64 { return f.p99 }), m(func(f figures) float64 { return f.trips }), m(func(f figures) float64 { return f.cpu }))
	}
	return b.String()
}

// cpu is how long a process was busy so far, 0 where the system does not tell.
func cpu(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid)) // of the main thread, which does all the work, in ns
	if err != nil {
		return 0
	}
	ns, _ := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
	return time.Duration(ns)
}

// process stands in for a test, so that servers can be started from here.
type process struct {
	testing.TB
	ctx      context.Context
	folders  []string
	cleanups []func()
}

func (p *process) Helper()                  {}
func (p *process) Context() context.Context { return p.ctx }
func (p *process) Cleanup(f func())         { p.cleanups = append(p.cleanups, f) }

func (p *process) TempDir() string {
	folder, err := os.MkdirTemp("", "sallyport-bench-")
	if err != nil {
		p.Fatal(err)
	}
	p.folders = append(p.folders, folder)
	return folder
}

func (p *process) Errorf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (p *process) Fatal(args ...any)                 { p.Fatalf("%s", fmt.Sprint(args...)) }

func (p *process) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	p.end()
	os.Exit(1)
}

func (p *process) end() {
	for _, f := range slices.Backward(p.cleanups) {
		f()
	}
	for _, folder := range p.folders {
		os.RemoveAll(folder)
	}
}

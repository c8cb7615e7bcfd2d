package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report writes the Markdown of docs/benchmarks.md.
func report(sides []side, results map[string]map[string][]sample, delivered string, rounds int, length time.Duration, outbound, micro string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Made by %[1]smake bench%[1]s. Ratios within one run are what counts; absolute figures depend on the machine.

- Machine: %[2]s, %[3]d cores, %[4]s/%[5]s, %[6]s. The load generator runs on the same cores.
- Event: a signed Stripe invoice of %[7]d bytes; every event is new.
- %[8]d rounds of %[9]s a side, sides alternating, each a process of its own with an empty database; medians.
- Limits: small servers of ours in %[1]stest/bench%[1]s. The first verifies and answers; the second adds group commit to SQLite
  (WAL, synchronous=FULL) and nothing else: no plan, no log, no counters, no status, no queue. Where PostgreSQL is measured, there is such a
  one on it (three committers), its settings are the server's own, and the CPU of the server is in nobody's figures.

## Ingest: signed webhook to 200

`, "`", cpuName(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), len(eventHead)+24+len(eventMid)+len(sentMark)+len(eventTail), rounds, length)
	b.WriteString(ingestReport(sides, results))
	b.WriteString(delivered)
	b.WriteString(outbound)
	fmt.Fprintf(&b, "## Packages\n\n`go test -bench . -benchmem` of the packages, in the same run:\n\n```\n%s```\n", micro)
	return b.String()
}

// ingestReport is the part about the way from a signed webhook to 200.
func ingestReport(sides []side, results map[string]map[string][]sample) string {
	var b strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&b, "### %s\n\n| server | events/s | p50 ms | p99 ms | CPU-s per 10,000 | memory MB | of the first limit | of group commit |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n", s.name)
		first := median(results[s.name][sides[0].name], func(x sample) float64 { return x.PerSecond })
		for _, one := range sides {
			samples := results[s.name][one.name]
			group := median(results[s.name][one.limit], func(x sample) float64 { return x.PerSecond })
			rate := median(samples, func(x sample) float64 { return x.PerSecond })
			fmt.Fprintf(&b, "| %s | %.0f | %.2f | %.2f | %.2f | %.0f | %.2f | %.2f |\n", one.name, rate,
				median(samples, func(x sample) float64 { return float64(x.P50) / 1e6 }),
				median(samples, func(x sample) float64 { return float64(x.P99) / 1e6 }),
				median(samples, func(x sample) float64 { return x.CPU }),
				median(samples, func(x sample) float64 { return float64(x.PSS) / 1024 }),
				rate/first, rate/group)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func median[T any](samples []T, of func(T) float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	values := make([]float64, 0, len(samples))
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.SortFunc(values, cmp.Compare[float64])
	return values[len(values)/2]
}

func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown CPU"
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return "unknown CPU"
}

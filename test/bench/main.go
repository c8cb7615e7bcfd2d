// Command bench measures Sallyport beside its limits in the same run and
// prints a Markdown report; "make bench" writes it to docs/benchmarks.md.
//
//	go run ./test/bench -sallyport bin/sallyport
//
// The limits are small servers of ours in this package: one that verifies and
// answers without storing, and one that adds group commit to SQLite and
// nothing else. Each side is a process of its own; sides alternate round by
// round; medians are reported. All traffic stays on the loopback interface and
// every run is bounded in time.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	var (
		floor   = flag.String("floor", "", "run as a limit: verify or group; used by the program itself")
		listen  = flag.String("listen", "127.0.0.1:0", "with -floor: address")
		file    = flag.String("file", "", "with -floor group: database file")
		binary  = flag.String("sallyport", "bin/sallyport", "the binary to measure")
		rounds  = flag.Int("rounds", 5, "rounds of each side")
		server  = flag.String("postgres", "", "postgres://… to measure PostgreSQL as well; the database is emptied")
		length  = flag.Duration("length", 4*time.Second, "measured time of a round, after a warm-up of a quarter of it")
		only    = flag.String("only", "", "outbound, ingest, delivery, backlog or retention: measure this part alone and print it")
		waiting = flag.Int("backlog", 1_000_000, "events of the backlog; 0 leaves it out")
		out     = flag.String("o", "", "file to write; standard output when empty")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *floor, *listen, *file, *binary, *server, *rounds, *length, *waiting, *only, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, floor, listen, file, binary, postgres string, rounds int, length time.Duration, backlog int, only, out string) error {
	if floor != "" {
		return serveFloor(ctx, floor, listen, file)
	}
	if only == "outbound" {
		report, err := measureLayers(rounds, length)
		fmt.Print(report)
		return err
	}
	if only == "ingest" {
		sides, results, err := measureIngest(ctx, binary, postgres, rounds, length)
		if err != nil {
			return err
		}
		fmt.Print(ingestReport(sides, results))
		return nil
	}
	if only == "delivery" {
		samples, err := measureDelivery(ctx, binary, rounds, length)
		if err != nil {
			return err
		}
		fmt.Print(deliveryReport(samples))
		return nil
	}
	if only == "backlog" {
		s, err := measureBacklog(ctx, binary, backlog)
		if err != nil {
			return err
		}
		fmt.Print(backlogReport(s))
		return nil
	}
	if only == "retention" {
		samples, err := measureRetention(ctx, binary, rounds, length)
		if err != nil {
			return err
		}
		fmt.Print(retentionReport(samples))
		return nil
	}
	report, err := measure(ctx, binary, postgres, rounds, length, backlog)
	if err != nil {
		return err
	}
	if out == "" {
		_, err = os.Stdout.WriteString(report)
		return err
	}
	return os.WriteFile(out, []byte(report), 0o644)
}

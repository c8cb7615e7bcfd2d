// Command limits measures four processes that share a limit of 1,000 calls a
// second through one Redis, beside go-redis/redis_rate in the same run, and
// prints a Markdown table.
//
//	go run ./test/bench/limits
//
// Callers are offered twice the limit, evenly or nearly all of it in one of the
// processes, and do not wait: a call gets a turn or is refused. One more row has
// callers that wait in line. Each round starts with an empty account; its first
// second, in which a whole second's worth may go at once, is left out of the
// rate and not out of the peak. Medians of the rounds are reported.
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

// perSecond is the limit that is shared.
const perSecond = 1000

func main() {
	var (
		child  = flag.String("child", "", "run as one of the processes, with this limiter; used by the program itself")
		redis  = flag.String("redis", "", "with -child: address of the Redis")
		key    = flag.String("key", "", "with -child: name of the shared account")
		rate   = flag.Float64("rate", 0, "with -child: calls a second that are offered; 0: callers wait in line")
		start  = flag.Int64("start", 0, "with -child: when to start, in ns since 1970")
		rounds = flag.Int("rounds", 3, "rounds of each row")
		length = flag.Duration("length", 6*time.Second, "of a round")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if *child != "" {
		err = runChild(ctx, *child, *redis, *key, *rate, time.Unix(0, *start), *length)
	} else {
		err = run(ctx, *rounds, *length)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		os.Exit(1)
	}
}

package main

import (
	"context"
	"encoding/gob"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/limit/redis"
	"github.com/sallyport/sallyport/plan"
)

// Limiters that are measured.
const (
	ours    = "Sallyport"
	theirs  = "redis_rate, burst 2 %"
	theirsB = "redis_rate, burst 100 %"
)

// result is what one process saw.
type result struct {
	Calls   int
	Given   []int64 // when turns were had, ns since 1970
	Took    []int64 // each call, ns
	Trips   uint64
	Errors  int
	Problem string
}

// allow asks for a turn; ok is false where it is refused.
type allow func(ctx context.Context) (ok bool, err error)

// limiter opens one by name. close is called at the end and returns the round
// trips.
func limiter(ctx context.Context, name, address, key string, waits bool) (ask allow, end func() uint64, err error) {
	if name == ours {
		return oursOf(ctx, address, key, waits)
	}
	burst := perSecond / 50
	if name == theirsB {
		burst = perSecond
	}
	client := goredis.NewClient(&goredis.Options{Addr: address})
	l := redis_rate.NewLimiter(client)
	var trips uint64
	var mu sync.Mutex
	ask = func(ctx context.Context) (bool, error) {
		mu.Lock()
		trips++
		mu.Unlock()
		r, err := l.Allow(ctx, key, redis_rate.Limit{Rate: perSecond, Period: time.Second, Burst: burst})
		return err == nil && r.Allowed > 0, err
	}
	return ask, func() uint64 { _ = client.Close(); return trips }, nil
}

func oursOf(ctx context.Context, address, key string, waits bool) (allow, func() uint64, error) {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}, DisableCache: true})
	if err != nil {
		return nil, nil, err
	}
	wait := plan.Duration(1)
	if waits {
		wait = plan.Duration(time.Minute)
	}
	l := limit.New(limit.Config{
		Limits:      catalog.Limits{List: []catalog.Limit{{Name: "all", Limit: perSecond, Window: 1, Scope: "account"}}},
		Environment: "production", Plan: plan.Limits{Headroom: 100, Wait: wait, Queue: 100_000},
		Shared: &limit.Shared{Ledger: redis.New(client, key)},
	})
	request := limit.Request{Path: "/", Method: "GET"}
	ask := func(ctx context.Context) (bool, error) {
		turn, err := l.Take(ctx, request)
		turn.Done()
		return err == nil, nil
	}
	return ask, func() uint64 {
		trips := l.Trips()
		_ = l.Close(context.WithoutCancel(ctx))
		client.Close()
		return trips
	}, nil
}

// workers ask side by side in each process.
const workers = 16

// runChild offers calls and writes what it saw to standard output.
func runChild(ctx context.Context, name, address, key string, rate float64, start time.Time, length time.Duration) error {
	ask, end, err := limiter(ctx, name, address, key, rate == 0)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	callers := workers
	if rate == 0 {
		callers = 20 * workers
	}
	results := make([]result, callers)
	var wg sync.WaitGroup
	time.Sleep(time.Until(start))
	stop := start.Add(length)
	time.AfterFunc(length, cancel)
	for i := range results {
		wg.Go(func() {
			next := start
			gap := time.Duration(0)
			if rate > 0 {
				gap = time.Duration(float64(time.Second) * float64(callers) / rate)
				next = start.Add(gap * time.Duration(i) / time.Duration(callers))
			}
			results[i].offer(ctx, ask, next, gap, stop)
		})
	}
	wg.Wait()
	var all result
	for i := range results {
		r := &results[i]
		all.Calls += r.Calls
		all.Errors += r.Errors
		all.Given, all.Took = append(all.Given, r.Given...), append(all.Took, r.Took...)
		if r.Problem != "" {
			all.Problem = r.Problem
		}
	}
	all.Trips = end()
	return gob.NewEncoder(os.Stdout).Encode(&all)
}

// offer makes calls, one each gap, until stop.
func (r *result) offer(ctx context.Context, ask allow, next time.Time, gap time.Duration, stop time.Time) {
	for {
		if gap > 0 {
			if early := time.Until(next); early > 0 {
				time.Sleep(early)
			}
			next = next.Add(gap)
		}
		begun := time.Now()
		if !begun.Before(stop) {
			return
		}
		ok, err := ask(ctx)
		given := time.Now()
		if ctx.Err() != nil {
			return
		}
		r.Calls++
		r.Took = append(r.Took, int64(given.Sub(begun)))
		if err != nil {
			r.Errors++
			r.Problem = fmt.Sprint(err)
		}
		if ok {
			r.Given = append(r.Given, given.UnixNano())
		}
	}
}

package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/limit/limittest"
)

// R4.13, R9.2: several instances keep one limit together through the database,
// held to the same tests as Redis is.
func TestLimitLedger(t *testing.T) {
	t.Parallel()
	store := openTest(t, Options{})
	var groups atomic.Int64
	limittest.Run(t, func(t testing.TB, n int, c limit.Config) []*limit.Limiter {
		name := fmt.Sprintf("group%d", groups.Add(1))
		limiters := make([]*limit.Limiter, n)
		for i := range limiters {
			c := c
			shared := limit.Shared{Patience: 500 * time.Millisecond} // of a test on a machine with much to do
			if c.Shared != nil {
				shared = *c.Shared
			}
			shared.Ledger = store.LimitLedger(name)
			c.Shared = &shared
			limiters[i] = limit.New(c)
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_ = limiters[i].Close(ctx)
			})
		}
		return limiters
	})
}

package limit_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/limit/ledger"
	"github.com/sallyport/sallyport/limit/limittest"
)

// The Limiter of one process is one for all who use it.
func TestConformance(t *testing.T) {
	t.Parallel()
	limittest.Run(t, func(_ testing.TB, n int, c limit.Config) []*limit.Limiter {
		limiters := make([]*limit.Limiter, n)
		one := limit.New(c)
		for i := range limiters {
			limiters[i] = one
		}
		return limiters
	})
}

func TestConformanceOfMemory(t *testing.T) {
	t.Parallel()
	limittest.Run(t, func(t testing.TB, n int, c limit.Config) []*limit.Limiter {
		memory := &ledger.Memory{}
		c.Shared = &limit.Shared{Ledger: memory, Patience: 200 * time.Millisecond} // of a test on a machine with much to do
		limiters := make([]*limit.Limiter, n)
		for i := range limiters {
			limiters[i] = limit.New(c)
			t.Cleanup(func() { _ = limiters[i].Close(t.Context()) })
		}
		return limiters
	})
}

package call

import (
	"context"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/breaker"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/retry"
)

// breaking is the plan's breaker.
func (s *Service) breaking(c Config) breaker.Config {
	k := c.Plan.Breaker
	longest := plan.DefaultTimeout
	for _, op := range s.endpoints {
		longest = max(longest, op.timeout)
	}
	return breaker.Config{
		FailureRate: float64(k.Failures.Or(plan.DefaultBreakerFailures)) / 100, SlowRate: float64(k.SlowCalls.Or(plan.DefaultBreakerSlowCalls)) / 100,
		Slow: k.Slow.Or(plan.DefaultBreakerSlow), Window: k.Window.Or(plan.DefaultBreakerWindow), Minimum: k.Minimum,
		Pause: k.Pause.Or(plan.DefaultBreakerPause), MaxPause: k.MaxPause.Or(plan.DefaultBreakerMaxPause),
		ProbeTimeout: longest + c.Plan.Limits.Wait.Or(plan.DefaultLimitWait) + 5*time.Second,
		Now:          s.now, Dice: s.dice, Changed: s.changed, Shared: c.Breakers,
	}
}

// changed tells of a breaker: that it opened is for somebody to hear.
func (s *Service) changed(c breaker.Change) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("host", c.Host), slog.String("from", string(c.From)), slog.String("to", string(c.State)), slog.String("why", c.Reason),
		slog.Bool("learned", c.Learned), slog.Bool("forced", c.Forced),
	}
	if c.State == breaker.Opened {
		level = slog.LevelError
		attrs = append(attrs, slog.Time("until", c.Until), slog.Bool("alert", !c.Learned)) // the instance that saw it alerts
	}
	s.log.LogAttrs(context.Background(), level, "breaker.changed", attrs...)
}

// Breakers are the circuit breakers of the hosts that were called lately.
func (s *Service) Breakers() []breaker.Status { return s.breakers.States() }

// ForceBreaker holds the breaker of a host open or closed by hand; ResetBreaker
// leaves it to itself again.
func (s *Service) ForceBreaker(host string, to breaker.State) { s.breakers.Force(host, to) }

// ResetBreaker closes the breaker of a host and leaves it to itself.
func (s *Service) ResetBreaker(host string) { s.breakers.Reset(host) }

// Limits are the provider's limits as they stand, and how much of our share is
// used.
func (s *Service) Limits() []limit.State { return s.limiter.State() }

// RetrySpending is what was spent of the retry budget lately.
func (s *Service) RetrySpending() retry.Spending { return s.budget.Spending(s.now()) }

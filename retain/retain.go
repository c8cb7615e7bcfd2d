// Package retain deletes what has had its time (R5.4, R5.7): payloads of events
// first, the events themselves when no repeat can come any more, calls, and notes
// about the use of credentials. The audit log is not touched.
//
// It works in short steps with pauses between them, so that what is received
// meanwhile waits for one step at most: see pace. Of several processes on one
// database one has the turn. In a database where nothing was ever deleted it says
// what it will delete and waits for an hour before it does.
package retain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Store is where things are kept.
type Store interface {
	EmptyPayloads(ctx context.Context, e integration.Expiry, step integration.Step) (integration.Swept, error)
	DeleteEvents(ctx context.Context, e integration.Expiry, step integration.Step) (integration.Swept, error)
	DeleteCalls(ctx context.Context, service string, before time.Time, step integration.Step) (integration.Swept, error)
	DeleteUses(ctx context.Context, before time.Time, step integration.Step) (integration.Swept, error)
	StoredServices(ctx context.Context) ([]string, error)
	Due(ctx context.Context, e integration.Expiry, calls time.Time, most int) (integration.Due, error)
	TakeHousekeeping(ctx context.Context, owner string, now, until, begins time.Time) (integration.HousekeepingTurn, error)
	Backlog() int
}

// Times are how long what came in is kept.
type Times struct {
	Payload time.Duration // of payloads and headers, from their receipt
	IDs     time.Duration // of whole events; not less than Payload
}

// Config is what a Keeper needs.
type Config struct {
	Store Store
	// Services are the times of the loaded plans, by service. Others is for
	// services that something is kept of without a plan being loaded.
	Services map[string]Times
	Others   Times
	// Calls is how long calls and notes about the use of credentials are kept
	// after they ended. Zero keeps them.
	Calls time.Duration
	// Owner tells this process from others on the same database.
	Owner string
	// Grace is how long the first deletion in a database waits. Zero means an
	// hour.
	Grace time.Duration
	// Every is how long it rests when all was done. Zero means 10 minutes.
	Every time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// Keeper deletes. Make it with New.
type Keeper struct {
	config  Config
	deleted atomic.Int64 // rows so far
}

// Sizes of the turn and of what is announced.
const (
	turnFor    = 2 * time.Minute
	turnAgain  = 30 * time.Second
	countsMost = 100_000
)

// New checks the configuration.
func New(c Config) (*Keeper, error) {
	if c.Store == nil || c.Owner == "" || c.Now == nil || c.Log == nil {
		return nil, errors.New("retain: a store, an owner, a clock and a log are needed")
	}
	if c.Grace == 0 {
		c.Grace = time.Hour
	}
	if c.Every == 0 {
		c.Every = 10 * time.Minute
	}
	for name, t := range c.Services {
		if t.Payload <= 0 || t.IDs < t.Payload {
			return nil, fmt.Errorf("retain: %s: ids must be kept as long as payloads at least, and both for some time", name)
		}
	}
	if c.Others.Payload <= 0 || c.Others.IDs < c.Others.Payload {
		return nil, errors.New("retain: others: ids must be kept as long as payloads at least, and both for some time")
	}
	return &Keeper{config: c}, nil
}

// Deleted is how many payloads, events, calls and notes it did away with so far.
func (k *Keeper) Deleted() int64 { return k.deleted.Load() }

// Run deletes until ctx ends. What fails is logged and tried again later.
func (k *Keeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := k.turn(ctx)
		if err != nil && ctx.Err() == nil {
			k.config.Log.WarnContext(ctx, "retention.failed", "error", err, "again_in", k.config.Every)
			wait = k.config.Every
		}
		rest(ctx, wait)
	}
}

// turn is one pass over everything if it is this process's turn, and says when to
// look again.
func (k *Keeper) turn(ctx context.Context) (wait time.Duration, err error) {
	turn, err := k.take(ctx)
	if err != nil || !turn.Mine {
		return k.config.Every, err
	}
	if turn.First {
		if err := k.announce(ctx, turn.From); err != nil {
			return 0, err
		}
	}
	if wait := turn.From.Sub(k.config.Now()); wait > 0 {
		return wait, nil
	}
	swept, err := k.Pass(ctx)
	if swept.Rows() > 0 {
		k.config.Log.InfoContext(ctx, "retention.swept", "payloads", swept.Payloads, "events", swept.Events, "deliveries", swept.Deliveries,
			"calls", swept.Calls, "attempts", swept.Attempts, "uses", swept.Uses, "bytes", swept.Bytes, "took", swept.Took)
	}
	return k.config.Every, err
}

func (k *Keeper) take(ctx context.Context) (integration.HousekeepingTurn, error) {
	now := k.config.Now()
	return k.config.Store.TakeHousekeeping(ctx, k.config.Owner, now, now.Add(turnFor), now.Add(k.config.Grace))
}

// announce says what will be deleted, before the first time anything is: as a
// warning where something is due by then.
func (k *Keeper) announce(ctx context.Context, from time.Time) error {
	services, err := k.services(ctx)
	if err != nil {
		return err
	}
	for _, name := range services {
		t := k.times(name)
		due, err := k.config.Store.Due(ctx, k.expiry(name, from), k.callsBefore(from), countsMost)
		if err != nil {
			return err
		}
		level := slog.LevelInfo
		if due.Payloads+due.Events+due.Calls > 0 {
			level = slog.LevelWarn
		}
		k.config.Log.Log(ctx, level, "retention.begins", "service", name, "at", from, "payloads_kept_for", t.Payload, "events_kept_for", t.IDs, "calls_kept_for", k.config.Calls,
			"payloads_due", due.Payloads, "events_due", due.Events, "calls_due", due.Calls, "counted_up_to", countsMost,
			"to_stop_it", "restart with --retention=off, or set webhooks.retention in the plan")
	}
	return nil
}

// services are those of the plans and those that something is kept of, sorted.
func (k *Keeper) services(ctx context.Context) ([]string, error) {
	stored, err := k.config.Store.StoredServices(ctx)
	if err != nil {
		return nil, err
	}
	all := slices.AppendSeq(stored, maps.Keys(k.config.Services))
	slices.Sort(all)
	return slices.Compact(all), nil
}

func (k *Keeper) times(service string) Times {
	if t, ok := k.config.Services[service]; ok {
		return t
	}
	return k.config.Others
}

func (k *Keeper) expiry(service string, now time.Time) integration.Expiry {
	t := k.times(service)
	return integration.Expiry{Service: service, Payload: now.Add(-t.Payload), IDs: now.Add(-t.IDs)}
}

// callsBefore is zero when calls are kept.
func (k *Keeper) callsBefore(now time.Time) time.Time {
	if k.config.Calls <= 0 {
		return time.Time{}
	}
	return now.Add(-k.config.Calls)
}

// errTurnLost: another process has the turn now.
var errTurnLost = errors.New("another process deletes now")

// Pass deletes all that has had its time by now, once, and says what that was.
// It does not ask whether the first deletion may begin.
func (k *Keeper) Pass(ctx context.Context) (total integration.Swept, err error) {
	services, err := k.services(ctx)
	if err != nil {
		return total, err
	}
	now := k.config.Now()
	p := passing{k: k, pace: newPace(), taken: now, total: &total}
	calls := k.callsBefore(now)
	for _, name := range services {
		e := k.expiry(name, now)
		err := p.all(ctx, func(step integration.Step) (integration.Swept, error) {
			swept, err := k.config.Store.EmptyPayloads(ctx, e, step)
			if !swept.Reached.IsZero() {
				e.From = swept.Reached
			}
			return swept, err
		})
		if err == nil {
			err = p.all(ctx, func(step integration.Step) (integration.Swept, error) {
				return k.config.Store.DeleteEvents(ctx, e, step)
			})
		}
		if err == nil && !calls.IsZero() {
			err = p.all(ctx, func(step integration.Step) (integration.Swept, error) {
				return k.config.Store.DeleteCalls(ctx, name, calls, step)
			})
		}
		if err != nil {
			return total, err
		}
	}
	if calls.IsZero() {
		return total, nil
	}
	return total, p.all(ctx, func(step integration.Step) (integration.Swept, error) {
		return k.config.Store.DeleteUses(ctx, calls, step)
	})
}

// passing is one pass under way.
type passing struct {
	k     *Keeper
	pace  pace
	taken time.Time // when the turn was last taken
	total *integration.Swept
}

// all takes steps of one kind until one finds nothing to do.
func (p *passing) all(ctx context.Context, do func(integration.Step) (integration.Swept, error)) error {
	for {
		swept, err := do(p.pace.step())
		if err != nil {
			return err
		}
		p.total.Add(swept)
		p.k.deleted.Add(int64(swept.Rows()))
		if swept.Rows() == 0 {
			return nil
		}
		var pause time.Duration
		p.pace, pause = p.pace.after(swept, p.k.config.Store.Backlog())
		rest(ctx, pause)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped: %w", context.Cause(ctx))
		}
		if err := p.goOn(ctx); err != nil {
			return err
		}
	}
}

// goOn keeps the turn.
func (p *passing) goOn(ctx context.Context) error {
	if now := p.k.config.Now(); now.Sub(p.taken) >= turnAgain {
		turn, err := p.k.take(ctx)
		if err != nil {
			return err
		}
		if !turn.Mine {
			return errTurnLost
		}
		p.taken = now
	}
	return nil
}

// rest waits, unless ctx ends first.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

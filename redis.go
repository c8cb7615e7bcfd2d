package sallyport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/sallyport/sallyport/breaker"
	breakerredis "github.com/sallyport/sallyport/breaker/redis"
	"github.com/sallyport/sallyport/limit"
	limitredis "github.com/sallyport/sallyport/limit/redis"
	"github.com/sallyport/sallyport/store/postgres"
)

// How long one try to reach Redis takes at most, and how long is waited between
// two. A client, once there, comes back by itself.
const (
	redisDial  = time.Second
	redisAgain = time.Second
)

// errRedisAway is the answer of everything shared while Redis was never reached.
var errRedisAway = errors.New("redis was not reached yet")

// sharing is what instances share through Redis: limits and breakers (R4.13,
// R4.10). It works from the start whether or not Redis is there: until it is
// reached, each instance goes by what it knows.
type sharing struct {
	options rueidis.ClientOption
	log     *slog.Logger

	mu       sync.Mutex
	client   rueidis.Client // nil until Redis was reached
	hub      *breakerredis.Hub
	breakers []*sharedBreaker
}

// share reads the address; nil when there is none.
func share(address string, log *slog.Logger) (*sharing, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // sharing nothing is the usual case
	}
	options, err := rueidis.ParseURL(address)
	if err != nil {
		return nil, errors.New("redis: the address can't be read; write redis://HOST:PORT or rediss://HOST:PORT") // it may hold a password
	}
	options.DisableCache, options.ClientName = true, "sallyport"
	options.Dialer = net.Dialer{Timeout: redisDial, KeepAlive: 15 * time.Second}
	return &sharing{options: options, log: log}, nil
}

// reach tries to reach Redis once.
func (s *sharing) reach(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return nil
	}
	client, err := rueidis.NewClient(s.options)
	if err != nil {
		return err
	}
	s.client = client
	s.hub = breakerredis.New(breakerredis.Config{Client: client, Log: s.log})
	ctx, cancel := context.WithTimeout(ctx, redisDial)
	defer cancel()
	if err := s.hub.Load(ctx); err != nil {
		s.log.Warn("redis.load", "error", err) // Run tries again
	}
	for _, b := range s.breakers {
		b.connect(s.hub)
	}
	return nil
}

// run keeps what is shared going until ctx ends.
func (s *sharing) run(ctx context.Context) {
	warned := false
	for {
		err := s.reach(ctx)
		if err == nil {
			break
		}
		if !warned {
			s.log.Warn("redis.away", "error", err, "meanwhile", "each instance keeps to its own limits and breakers")
			warned = true
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(redisAgain):
		}
	}
	if warned {
		s.log.Info("redis.reached")
	}
	s.hub.Run(ctx)
}

func (s *sharing) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		s.client.Close()
	}
}

// limits is where the limits of a group are shared.
func (s *sharing) limits(group string) *limit.Shared {
	if s == nil {
		return nil
	}
	return &limit.Shared{Ledger: &sharedLedger{sharing: s, group: group}, Log: s.log}
}

// lender is a store that limits can be shared through.
type lender interface {
	LimitLedger(group string) *postgres.LimitLedger
}

// sharedLimits is where the limits of a group are shared with other instances:
// through Redis, or else through a database that instances share; nil where this
// process is alone.
func (a *App) sharedLimits(group string) *limit.Shared {
	if a.shared != nil {
		return a.shared.limits(group)
	}
	if s, ok := a.store.(lender); ok {
		a.config.Log.Info("limits.shared", "group", group, "through", "the database; Redis makes it cheaper, see --redis")
		return &limit.Shared{Ledger: s.LimitLedger(group), Log: a.config.Log, Patience: 100 * time.Millisecond, Timeout: time.Second}
	}
	return nil
}

// sharedLedger is the ledger of one group once Redis is reached.
type sharedLedger struct {
	*sharing
	group string
	once  sync.Once
	there *limitredis.Ledger
}

// Settle asks Redis.
func (l *sharedLedger) Settle(ctx context.Context, st *limit.Settlement) (*limit.Settled, error) {
	l.mu.Lock()
	client := l.client
	l.mu.Unlock()
	if client == nil {
		return nil, errRedisAway
	}
	l.once.Do(func() { l.there = limitredis.New(client, l.group) })
	return l.there.Settle(ctx, st)
}

// breakersOf is where the breakers of a service are shared.
func (s *sharing) breakersOf(name string) breaker.Shared {
	if s == nil {
		return nil
	}
	b := &sharedBreaker{name: name}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breakers = append(s.breakers, b)
	if s.hub != nil {
		b.connect(s.hub)
	}
	return b
}

// sharedBreaker shares the breakers of one service once Redis is reached.
type sharedBreaker struct {
	name  string
	mu    sync.Mutex
	learn func(breaker.Notice)
	there breaker.Shared
}

func (b *sharedBreaker) connect(hub *breakerredis.Hub) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.there = hub.Service(b.name)
	if b.learn != nil {
		b.there.Subscribe(b.learn)
	}
}

func (b *sharedBreaker) connected() breaker.Shared {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.there
}

// Subscribe hands over what other instances find.
func (b *sharedBreaker) Subscribe(learn func(breaker.Notice)) {
	b.mu.Lock()
	b.learn = learn
	there := b.there
	b.mu.Unlock()
	if there != nil {
		there.Subscribe(learn)
	}
}

// Publish tells the others.
func (b *sharedBreaker) Publish(n breaker.Notice) {
	if there := b.connected(); there != nil {
		there.Publish(n)
	}
}

// Probe asks for one of the probes that all share.
func (b *sharedBreaker) Probe(host string, probes int, timeout time.Duration) (ticket string, err error) {
	there := b.connected()
	if there == nil {
		return "", errRedisAway
	}
	return there.Probe(host, probes, timeout)
}

// Probed says how one ended.
func (b *sharedBreaker) Probed(host, ticket string, probes int, o breaker.Outcome) {
	if there := b.connected(); there != nil {
		there.Probed(host, ticket, probes, o)
	}
}

// Package redis lets the instances of a gateway share their circuit breakers
// through a Redis: when one of them opens the others follow within a second,
// the probes of a half-open breaker are not multiplied by the instances, and a
// new instance begins with what the others know (R4.10).
//
// Nothing is asked of Redis while a breaker is closed or open. What changes is
// written, and read by each instance that polls a number, from a goroutine of
// its own. Only a call that would be refused otherwise, the candidate for a
// probe, asks Redis and waits for the answer, a tenth of a second at most.
//
// Without Redis each instance goes by what it sees itself. It says so once, and
// when Redis is back it tells what it knows and goes on sharing.
package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/sallyport/sallyport/breaker"
)

// Defaults of Config.
const (
	DefaultPrefix = "sallyport:{breaker}:"
	DefaultPoll   = 250 * time.Millisecond
)

// Waits.
const (
	probeWait = 100 * time.Millisecond // of a call, for a probe
	loopWait  = time.Second            // of the goroutine that reads and writes
)

// tries is how often is asked at once before Redis counts as gone: each
// connection of the client finds out for itself that it broke.
const tries = 5

// Config is how breakers are shared. The client is needed.
type Config struct {
	Client rueidis.Client
	// Prefix begins all keys. Zero means "sallyport:{breaker}:"; on a Redis
	// Cluster it must have a hash tag, the part in braces, so that all keys are
	// on one node.
	Prefix string
	// Poll is how often is looked for news. Zero means 250 milliseconds. Each
	// look is one command, whatever the number of services.
	Poll time.Duration
	// Log hears when Redis is gone and when it is back; nil is slog.Default.
	Log *slog.Logger
}

// Hub shares the breakers of all services of one instance.
type Hub struct {
	client rueidis.Client
	prefix string
	id     string
	poll   time.Duration
	log    *slog.Logger
	wake   chan struct{}

	reading sync.Mutex // one reader, or subscriber, at a time
	version string     // of what was read last; guarded by reading

	writing sync.Mutex // one writer at a time

	mu      sync.Mutex
	state   link
	known   map[string]record               // what others, and we, said last
	learn   map[string]func(breaker.Notice) // by service
	own     map[string]said                 // what our breakers said last
	pending map[string]said                 // of that, what is not written yet
	ended   []ended                         // probes
}

// link is whether Redis answers.
type link int

const (
	untried link = iota
	up
	down
)

// said is a notice and the end of its pause by our clock.
type said struct {
	breaker.Notice
	until time.Time
	fill  bool // only where Redis knows nothing
}

// ended is the end of a probe.
type ended struct {
	field, ticket string
	probes        int
	outcome       breaker.Outcome
}

// nobody writes what every instance learns.
const nobody = "-"

// most is how many ends of probes may wait to be written; others end by their
// timeout.
const most = 1000

// New makes a hub. It does nothing until Run.
func New(c Config) *Hub {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Hub{
		client: c.Client, prefix: cmp.Or(c.Prefix, DefaultPrefix), id: rand.Text(), poll: cmp.Or(c.Poll, DefaultPoll), log: c.Log, wake: make(chan struct{}, 1),
		known: map[string]record{}, learn: map[string]func(breaker.Notice){}, own: map[string]said{}, pending: map[string]said{},
	}
}

// Service is where the breakers of one service are shared; the name is the same
// at all instances, and has no spaces. Services of several environments, or
// accounts, need several names.
func (h *Hub) Service(name string) breaker.Shared { return &service{hub: h, name: name} }

// Load reads what other instances know, so that breakers made from now on begin
// with it. Run does it as well, but not before the first calls. An error is no
// reason not to Run.
func (h *Hub) Load(ctx context.Context) error { return h.exchange(ctx) }

// Run reads and writes until ctx ends, and writes what is left then.
func (h *Hub) Run(ctx context.Context) {
	ticker := time.NewTicker(h.poll)
	defer ticker.Stop()
	for {
		_ = h.exchange(ctx) // it is logged
		select {
		case <-ticker.C:
		case <-h.wake:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), loopWait)
			defer cancel()
			_ = h.write(last)
			return
		}
	}
}

// exchange writes what is new here and reads what is new elsewhere.
func (h *Hub) exchange(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loopWait)
	defer cancel()
	h.reading.Lock()
	defer h.reading.Unlock()
	err := h.both(ctx)
	for again := 1; err != nil && again < tries && ctx.Err() == nil; again++ {
		err = h.both(ctx)
	}
	if errors.Is(err, context.Canceled) { // we are stopping
		return err
	}
	h.mu.Lock()
	before := h.state
	h.state = up
	if err != nil {
		h.state = down
	}
	h.mu.Unlock()
	switch {
	case err != nil && before != down:
		h.log.WarnContext(ctx, "breaker: Redis does not answer; each instance goes by what it sees itself until it is back", "error", err)
	case err == nil && before == down:
		h.log.InfoContext(ctx, "breaker: Redis is back; breakers are shared again")
	}
	return err
}

// both writes, then reads, so that what was told here is not undone by what was
// told elsewhere before.
func (h *Hub) both(ctx context.Context) error {
	if err := h.write(ctx); err != nil {
		return err
	}
	return h.read(ctx)
}

// write tells what is new. What could not be written is tried again.
func (h *Hub) write(ctx context.Context) error {
	h.writing.Lock()
	defer h.writing.Unlock()
	h.mu.Lock()
	pending, ends := h.pending, h.ended
	h.pending, h.ended = map[string]said{}, nil
	h.mu.Unlock()
	var err error
	for field, s := range pending {
		if err == nil {
			err = h.put(ctx, field, s)
		}
		if err != nil {
			h.keep(field, s)
		}
	}
	for _, e := range ends {
		if err == nil { // otherwise it ends by its timeout
			err = h.end(ctx, e)
		}
	}
	return err
}

// keep puts back what could not be written, unless there is something newer.
func (h *Hub) keep(field string, s said) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if newer, ok := h.pending[field]; ok {
		newer.Reset = newer.Reset || s.Reset
		s = newer
	}
	h.pending[field] = s
}

// put writes one notice.
func (h *Hub) put(ctx context.Context, field string, s said) error {
	s.Pause = max(time.Until(s.until), 0)
	text, err := json.Marshal(s.Notice)
	if err != nil {
		return err
	}
	return publish.Exec(ctx, h.client, h.keys(field), []string{field, flags(s), h.id, fmt.Sprint(s.Pause.Microseconds()), string(text)}).Error()
}

// end writes the end of a probe, and closes the breaker when it was the last
// that was needed.
func (h *Hub) end(ctx context.Context, e ended) error {
	success := "0"
	if e.outcome == breaker.Success {
		success = "1"
	}
	proved, err := probed.Exec(ctx, h.client, h.keys(e.field), []string{e.ticket, success}).AsInt64()
	if err != nil || proved < int64(e.probes) {
		return err
	}
	_, host, _ := strings.Cut(e.field, " ")
	s := said{Notice: breaker.Notice{Host: host, State: breaker.Closed}}
	text, err := json.Marshal(s.Notice)
	if err != nil {
		return err
	}
	// Our own breaker may have seen fewer probes, and learns of it as others do.
	return publish.Exec(ctx, h.client, h.keys(e.field), []string{e.field, flags(s), nobody, "0", string(text)}).Error()
}

// read learns what is new.
func (h *Hub) read(ctx context.Context) error {
	begun := time.Now()
	answer, err := news.Exec(ctx, h.client, h.keys("")[:2], []string{h.version}).ToArray()
	if err != nil {
		return err
	}
	version, records, err := parse(answer, begun)
	if err != nil {
		return err
	}
	h.mu.Lock()
	if version == "" && h.version != "" || h.state == down { // it may have forgotten, or we missed it
		h.fill()
	}
	h.mu.Unlock()
	h.version = version
	if records == nil {
		return nil
	}
	for field, r := range h.fresh(records) {
		h.tell(field, r)
	}
	return nil
}

// fresh are the records that are new, and not written by us. From now on they
// are known. Versions are numbers of one length.
func (h *Hub) fresh(records map[string]record) map[string]record {
	h.mu.Lock()
	defer h.mu.Unlock()
	fresh := map[string]record{}
	for field, r := range records {
		if r.version > h.known[field].version && r.by != h.id {
			fresh[field] = r
		}
	}
	h.known = records
	return fresh
}

// tell tells our breakers of a record. It is ours from now on too, to be told
// again should Redis forget it.
func (h *Hub) tell(field string, r record) {
	name, _, _ := strings.Cut(field, " ")
	h.mu.Lock()
	h.mine(field, r.said)
	learn := h.learn[name]
	h.mu.Unlock()
	if learn != nil {
		learn(r.notice())
	}
}

// mine keeps what must not be forgotten: that a breaker is not simply closed.
func (h *Hub) mine(field string, s said) {
	if s.State == breaker.Closed && !s.Forced {
		delete(h.own, field)
		return
	}
	h.own[field] = s
}

// fill tells again what our breakers hold open, where Redis knows nothing of
// the host.
func (h *Hub) fill() {
	for field, s := range h.own {
		if _, ok := h.pending[field]; !ok && (s.Forced || s.State == breaker.Opened && time.Now().Before(s.until)) {
			s.fill = true
			h.pending[field] = s
			h.nudge()
		}
	}
}

func (h *Hub) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// service is the part of one service.
type service struct {
	hub  *Hub
	name string
}

func (s *service) field(host string) string { return s.name + " " + host }

// Subscribe implements breaker.Shared.
func (s *service) Subscribe(learn func(breaker.Notice)) {
	h := s.hub
	h.reading.Lock()
	defer h.reading.Unlock()
	var begin []breaker.Notice
	h.mu.Lock()
	h.learn[s.name] = learn
	for field, r := range h.known {
		if name, _, _ := strings.Cut(field, " "); name == s.name {
			begin = append(begin, r.notice())
		}
	}
	h.mu.Unlock()
	for _, n := range begin {
		learn(n)
	}
}

// Publish implements breaker.Shared.
func (s *service) Publish(n breaker.Notice) {
	h, field := s.hub, s.field(n.Host)
	h.mu.Lock()
	defer h.mu.Unlock()
	if before, ok := h.pending[field]; ok && before.Reset && !n.Forced {
		n.Reset = true // it must undo what was forced, whatever came after
	}
	h.pending[field] = said{Notice: n, until: time.Now().Add(n.Pause)}
	h.mine(field, h.pending[field])
	h.nudge()
}

// errDown is why nobody is asked.
var errDown = errors.New("breaker: Redis does not answer")

// Probe implements breaker.Shared.
func (s *service) Probe(host string, probes int, timeout time.Duration) (string, error) {
	h := s.hub
	h.mu.Lock()
	state := h.state
	h.mu.Unlock()
	if state != up {
		return "", errDown
	}
	type given struct {
		ticket string
		err    error
	}
	answer := make(chan given, 1)
	go func() { // the client may wait for its connection longer than the context says
		ctx, cancel := context.WithTimeout(context.Background(), probeWait)
		defer cancel()
		err := h.write(ctx) // that it opened, and so has its probes again, comes first
		var ticket string
		if err == nil {
			ticket, err = probe.Exec(ctx, h.client, h.keys(s.field(host)), []string{fmt.Sprint(probes), fmt.Sprint(timeout.Microseconds())}).ToString()
		}
		answer <- given{ticket, err}
	}()
	late := time.NewTimer(probeWait)
	defer late.Stop()
	select {
	case g := <-answer:
		return g.ticket, g.err
	case <-late.C:
		return "", errDown
	}
}

// Probed implements breaker.Shared.
func (s *service) Probed(host, ticket string, probes int, o breaker.Outcome) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ended) < most {
		h.ended = append(h.ended, ended{s.field(host), ticket, probes, o})
		h.nudge()
	}
}

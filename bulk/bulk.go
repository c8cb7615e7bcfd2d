// Package bulk collects calls of one endpoint into one request that makes many
// (requirements R4.15), and hands the answers back one by one.
//
// Callers wait for one another at most Wait; the request leaves when the first of
// them has waited so long, or when Max items are together. Each caller has its own
// deadline: who leaves before the request does is taken out of it; who leaves
// afterwards is told that the outcome is not known. A failure of the request as a
// whole is everybody's; a single refusal is its item's alone; and an item the
// answer says nothing about fails with words that say so.
//
// Shape is the pure half: how bodies are joined and answers found. Collector is
// the half with the timer.
package bulk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Sizes and times used where Config says zero; the first two are the plan's own
// defaults.
const (
	DefaultMax      = 100
	DefaultWait     = 20 * time.Millisecond
	DefaultMaxBytes = 1 << 20
	DefaultQueue    = 10_000
)

// Config of a Collector. Send must be set.
type Config struct {
	// Shape of the request and its answer.
	Shape Shape
	// Max is how many items go into one request; zero is 100.
	Max int
	// MaxBytes is how many bytes of items do; an item that is larger goes alone.
	// Zero is 1 MiB.
	MaxBytes int
	// Wait is how long the first caller waits for others; zero is 20 ms.
	Wait time.Duration
	// Queue is how many callers wait at most, those whose request is under way
	// included; the next one is refused at once. Zero is 10,000.
	Queue int
	// Send makes the request. Its context belongs to no single caller: it ends at
	// the latest of their deadlines, or when all of them have gone. key is what the
	// callers said. A non-nil error is every caller's.
	Send func(ctx context.Context, key string, body json.RawMessage) (Sent, error)
}

// Sent is the answer to a collected request.
type Sent struct {
	Body   json.RawMessage
	Header http.Header // handed to every caller; may be nil
}

// Received is what one caller gets.
type Received struct {
	Body   json.RawMessage // the item's own part; nil where there was none
	Header http.Header     // of the collected answer, shared and not to be changed; nil when nothing was answered
}

// Collector collects calls. It may be used by many goroutines at once.
type Collector struct {
	cfg Config

	mu      sync.Mutex
	open    map[string]*batch // by key: still taking items
	waiting int
	closed  bool
	sending sync.WaitGroup
}

// New checks the configuration and makes a Collector.
func New(c Config) (*Collector, error) {
	if c.Send == nil {
		return nil, errors.New("bulk: Send is needed")
	}
	if c.Max < 0 || c.MaxBytes < 0 || c.Wait < 0 || c.Queue < 0 {
		return nil, errors.New("bulk: max, max bytes, wait and queue can't be negative; zero is the default")
	}
	if err := c.Shape.Check(); err != nil {
		return nil, fmt.Errorf("bulk: %w", err)
	}
	c.Max, c.MaxBytes = cmp.Or(c.Max, DefaultMax), cmp.Or(c.MaxBytes, DefaultMaxBytes)
	c.Wait, c.Queue = cmp.Or(c.Wait, DefaultWait), cmp.Or(c.Queue, DefaultQueue)
	return &Collector{cfg: c, open: map[string]*batch{}}, nil
}

// batch is one request in the making, and then under way. The collector's lock
// guards it.
type batch struct {
	key     string
	ctx     context.Context // of the first caller, without its end
	callers []*caller       // in the order they came
	keys    map[string]bool // what Match says of the items in it
	bytes   int
	timer   *time.Timer
	left    bool // sent: nobody joins or can be taken out
	present int  // callers still waiting once it left
	cancel  context.CancelFunc
}

// caller is one item and who waits for its answer.
type caller struct {
	item     json.RawMessage
	key      string
	deadline time.Time // zero: none
	result   chan result
}

type result struct {
	received Received
	err      error
}

// Do puts an item, JSON, into the next request for a key and waits for its
// answer. Calls with one key are collected together: endpoint and connection,
// since a request carries one credential. The error is that of Send, an
// *integration.Failure of this item, or the cause of ctx while the item was not
// sent. Where the provider refused the item, Received holds its words besides.
func (c *Collector) Do(ctx context.Context, key string, item json.RawMessage) (Received, error) {
	if err := ctx.Err(); err != nil {
		return Received{}, context.Cause(ctx)
	}
	one := &caller{item: item, result: make(chan result, 1)}
	if f := c.accept(one); f != nil {
		return Received{}, f
	}
	one.deadline, _ = ctx.Deadline()

	b, err := c.join(ctx, key, one)
	if err != nil {
		return Received{}, err
	}
	select {
	case r := <-one.result:
		return r.received, r.err
	case <-ctx.Done():
		return c.leave(ctx, b, one)
	}
}

// accept checks an item before anybody waits for it.
func (c *Collector) accept(one *caller) error {
	f := &integration.Failure{Class: integration.ClassInvalid, Code: CodeItem, Message: "The request can't be sent together with others."}
	if !json.Valid(one.item) {
		f.Hint = "The body must be JSON."
		return f
	}
	if c.cfg.Shape.Match == "" {
		return nil
	}
	var ok bool
	if one.key, ok = c.cfg.Shape.Key(one.item); !ok {
		f.Hint = "The field " + c.cfg.Shape.Match + " must hold a text or a number: the answer is found by it."
		return f
	}
	return nil
}

// join puts a caller into the open batch of its key, or opens one.
func (c *Collector) join(ctx context.Context, key string, one *caller) (*batch, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, &integration.Failure{
			Class: integration.ClassUnavailable, Code: CodeClosed, Message: "The request was not sent: this instance is shutting down.", Hint: "Send it again.",
		}
	case c.waiting >= c.cfg.Queue:
		return nil, &integration.Failure{
			Class: integration.ClassLimited, Code: CodeFull, RetryAfter: max(c.cfg.Wait, time.Second), Reason: "limit",
			Message: "Too many requests wait to be sent together.", Hint: "Send it again later, or raise bulk.max in the plan where the provider allows it.",
		}
	}
	b := c.open[key]
	if b != nil && (one.key != "" && b.keys[one.key] || b.bytes+len(one.item) > c.cfg.MaxBytes) {
		c.send(b) // two of one key could not be told apart in the answer
		b = nil
	}
	if b == nil {
		b = &batch{key: key, ctx: context.WithoutCancel(ctx), keys: map[string]bool{}}
		b.timer = time.AfterFunc(c.cfg.Wait, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.send(b)
		})
		c.open[key] = b
	}
	b.callers = append(b.callers, one)
	b.bytes += len(one.item)
	if one.key != "" {
		b.keys[one.key] = true
	}
	c.waiting++
	if len(b.callers) >= c.cfg.Max || b.bytes >= c.cfg.MaxBytes {
		c.send(b)
	}
	return b, nil
}

// leave is a caller whose own time is up.
func (c *Collector) leave(ctx context.Context, b *batch, one *caller) (Received, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case r := <-one.result: // the answer came in the same moment
		return r.received, r.err
	default:
	}
	c.waiting--
	if b.left {
		if b.present--; b.present == 0 {
			b.cancel()
		}
		return Received{}, &integration.Failure{
			Class: integration.ClassCanceled, Code: CodeUncertain, Err: context.Cause(ctx),
			Message: "You stopped waiting after the request was sent together with others.",
			Hint:    "It may have been carried out: look at the provider before sending it again.",
		}
	}
	for i, other := range b.callers {
		if other == one {
			b.callers = append(b.callers[:i], b.callers[i+1:]...)
			b.bytes -= len(one.item)
			delete(b.keys, one.key)
			break
		}
	}
	if len(b.callers) == 0 {
		b.timer.Stop()
		c.unlist(b)
	}
	return Received{}, context.Cause(ctx)
}

// unlist closes a batch to newcomers; the lock is held.
func (c *Collector) unlist(b *batch) {
	if c.open[b.key] == b {
		delete(c.open, b.key)
	}
}

// send lets a batch go; the lock is held. It does nothing for one that has left or
// lost its last caller.
func (c *Collector) send(b *batch) {
	if b.left || len(b.callers) == 0 {
		return
	}
	b.timer.Stop()
	c.unlist(b)
	b.left, b.present = true, len(b.callers)
	var ctx context.Context
	if last, all := latest(b.callers); all {
		ctx, b.cancel = context.WithDeadline(b.ctx, last)
	} else {
		ctx, b.cancel = context.WithCancel(b.ctx)
	}
	c.sending.Go(func() {
		defer b.cancel()
		c.hand(b, c.make(ctx, b))
	})
}

// latest is the last of the callers' deadlines; all is false when one has none.
func latest(callers []*caller) (last time.Time, all bool) {
	for _, one := range callers {
		if one.deadline.IsZero() {
			return time.Time{}, false
		}
		if one.deadline.After(last) {
			last = one.deadline
		}
	}
	return last, true
}

// make sends the batch and understands the answer: one result for each caller.
func (c *Collector) make(ctx context.Context, b *batch) []result {
	items := make([]json.RawMessage, len(b.callers))
	for i, one := range b.callers {
		items[i] = one.item
	}
	out := make([]result, len(items))
	sent, answers, err := c.exchange(ctx, b.key, items)
	for i := range out {
		out[i].received.Header = sent.Header
		if err != nil {
			out[i].err = ownError(err)
			continue
		}
		out[i].received.Body, out[i].err = answers[i].Body, answers[i].Err
	}
	return out
}

// exchange is one request and its answer. A panic in it would end the process,
// since no server stands around this goroutine; it becomes an error.
func (c *Collector) exchange(ctx context.Context, key string, items []json.RawMessage) (sent Sent, answers []Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("bulk: sending panicked: %v\n%s", p, debug.Stack())
		}
	}()
	body, err := c.cfg.Shape.Join(items)
	if err != nil {
		return sent, nil, err
	}
	if sent, err = c.cfg.Send(ctx, key, body); err != nil {
		return sent, nil, err
	}
	answers, err = c.cfg.Shape.Split(items, sent.Body)
	return sent, answers, err
}

// ownError is an error that several callers get, each its own where it is of the
// kind that is written on later.
func ownError(err error) error {
	if f, ok := err.(*integration.Failure); ok { //nolint:errorlint // only the outermost is written on
		clone := *f
		return &clone
	}
	return err
}

// hand gives the results out.
func (c *Collector) hand(b *batch, results []result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting -= b.present
	b.present = 0
	for i, one := range b.callers {
		one.result <- results[i] // has room for one; who left does not read it
	}
}

// Close sends what is collected at once, takes nothing more, and returns when all
// answers are handed out or ctx ends, whose cause it then returns; requests under
// way are not stopped by that.
func (c *Collector) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	for _, b := range c.open {
		c.send(b)
	}
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		c.sending.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

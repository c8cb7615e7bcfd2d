package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/integration"
)

// batchMost is the most pieces of work in one transaction: enough for an fsync
// to cost little a piece, few enough that the first does not wait long.
const batchMost = 512

// A piece of work is queued, then taken by the writer; a function begins later
// than that. Until then its caller can abandon it.
const (
	queued int32 = iota
	taken
	begun
	abandoned
)

// work is a piece of work for the writer: an event to insert, or a function.
type work struct {
	event *newEvent
	do    func(*transaction) error
	state atomic.Int32
	err   error
	done  chan struct{} // of capacity 1; nil when nobody waits
	ran   chan struct{} // closed when the function has returned; nil when nobody waits
}

// lane is one bounded queue in front of the writer. Lanes keep kinds of work
// from shutting each other out: a flood of events can't keep workers from
// saying that they are done.
type lane chan *work

// writer is the one goroutine that writes. It gathers what waits in the lanes,
// runs it in one transaction, commits, and tells everyone.
type writer struct {
	options Options
	db      *sql.DB
	tx      *transaction

	events  lane // refused when full
	jobs    lane // waited for when full
	records lane // calls; waited for shortly, then lost

	mu      sync.RWMutex // held for reading while putting work into a lane
	closed  bool
	stopped chan struct{}
	err     error // of closing; read after stopped
	file    *openFile

	commits, writes atomic.Int64
	lastCommit      atomic.Int64 // microseconds; 0 before the first and after a failure

	insert    inserter
	turns     turns                        // of tenants, when events are behind
	beforeEnd atomic.Pointer[func() error] // tests let a commit fail here; nil otherwise
}

func startWriter(ctx context.Context, db *sql.DB, path string, o Options) (*writer, error) {
	w := &writer{
		options: o, db: db, file: &openFile{path: path},
		events: make(lane, o.Queue), jobs: make(lane, 1024), records: make(lane, 4096),
		stopped: make(chan struct{}),
	}
	var err error
	if w.file.info, err = os.Stat(path); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if w.tx, err = newTransaction(ctx, db); err != nil {
		return nil, err
	}
	go func() {
		defer close(w.stopped)
		w.run()
		w.err = w.tx.close()
	}()
	return w, nil
}

// stop takes no more work, waits for what is in the lanes and ends the writer.
func (w *writer) stop() error {
	w.mu.Lock()
	w.closed = true
	close(w.events)
	close(w.jobs)
	close(w.records)
	w.mu.Unlock()
	<-w.stopped
	return w.err
}

// offer puts work into a lane that has room; false means that it is full.
func (w *writer) offer(l lane, k *work) (bool, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return false, ErrClosed
	}
	select {
	case l <- k:
		return true, nil
	default:
		return false, nil
	}
}

// put puts work into a lane and waits for room until ctx ends.
func (w *writer) put(ctx context.Context, l lane, k *work) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	select {
	case l <- k:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sqlite: nothing was written: %w", context.Cause(ctx))
	}
}

// wait returns what came of k. When ctx ends first, k is taken back if the
// writer has not begun with it; otherwise its outcome is open. A function that
// has begun is waited for all the same, though not its commit: it may write to
// variables of the caller.
func (k *work) wait(ctx context.Context) error {
	select {
	case <-k.done:
		return k.err
	case <-ctx.Done():
	}
	if k.state.CompareAndSwap(queued, abandoned) || k.do != nil && k.state.CompareAndSwap(taken, abandoned) {
		return fmt.Errorf("sqlite: nothing was written: %w", context.Cause(ctx))
	}
	if k.ran != nil {
		<-k.ran
	}
	select {
	case <-k.done:
		return k.err
	default:
		return fmt.Errorf("sqlite: it may have been written: %w", context.Cause(ctx))
	}
}

// do runs a function in the next transaction and waits for its commit. The
// function must not keep the transaction; when it fails, what it wrote is
// undone and the others' work is not.
func (w *writer) do(ctx context.Context, l lane, f func(*transaction) error) error {
	k := &work{do: f, done: make(chan struct{}, 1), ran: make(chan struct{})}
	if err := w.put(ctx, l, k); err != nil {
		return err
	}
	return k.wait(ctx)
}

func (w *writer) run() {
	events, jobs, records := w.events, w.jobs, w.records
	batch := make([]*work, 0, batchMost)
	for events != nil || jobs != nil || records != nil {
		var k *work
		var ok bool
		select {
		case k, ok = <-events:
			if !ok {
				events = nil
			}
		case k, ok = <-jobs:
			if !ok {
				jobs = nil
			}
		case k, ok = <-records:
			if !ok {
				records = nil
			}
		}
		if !ok {
			continue
		}
		batch = append(batch[:0], k)
		batch = jobs.drain(batch)
		batch = events.drain(batch)
		batch = records.drain(batch)
		w.commit(batch)
		clear(batch)
	}
}

// drain appends what waits in the lane now. The writer is the only one that
// takes from lanes, so what len counts is there.
func (l lane) drain(batch []*work) []*work {
	for range min(len(l), batchMost-len(batch)) {
		batch = append(batch, <-l)
	}
	return batch
}

// commit runs a batch in one transaction and tells everyone what came of it.
func (w *writer) commit(batch []*work) {
	live := batch[:0]
	for _, k := range batch {
		if k.state.CompareAndSwap(queued, taken) {
			live = append(live, k)
		}
	}
	if len(live) == 0 {
		return
	}
	if err := w.transact(live); err != nil {
		for _, k := range live {
			k.err = err
		}
	}
	for _, k := range live {
		if k.done != nil {
			k.done <- struct{}{}
		}
	}
}

// transact runs all work and commits. Its error concerns everyone: nothing was
// kept. What concerns one piece of work alone is left in its err.
func (w *writer) transact(batch []*work) error {
	if err := w.file.check(); err != nil {
		w.lastCommit.Store(0)
		return fmt.Errorf("sqlite: nothing was kept: %w", err)
	}
	if err := w.tx.begin(); err != nil {
		return w.failed("begin", err)
	}
	if err := w.insert.insert(w.tx, batch, w.options.Now()); err != nil {
		return w.failed("insert", err)
	}
	for _, k := range batch {
		if k.do == nil || !k.state.CompareAndSwap(taken, begun) {
			continue
		}
		k.err = w.tx.isolate(k.do)
		if k.ran != nil {
			close(k.ran)
		}
		if brokeAll(k.err) {
			return w.failed("write", k.err)
		}
	}
	if end := w.beforeEnd.Load(); end != nil {
		if err := (*end)(); err != nil {
			return w.failed("commit", err)
		}
	}
	changed, err := w.tx.commit()
	if err != nil {
		return w.failed("commit", err)
	}
	if changed {
		w.commits.Add(1)
		w.writes.Add(int64(len(batch)))
		w.lastCommit.Store(micros(w.options.Now()))
	}
	return nil
}

// failed undoes the transaction. The connection is replaced, because after a
// failed write its state can't be trusted.
func (w *writer) failed(at string, err error) error {
	w.lastCommit.Store(0)
	w.tx.rollback()
	if isBusy(err) {
		return fmt.Errorf("sqlite: %s: another process holds the file: %w: %w", at, integration.ErrBusy, err)
	}
	if again := w.tx.reconnect(w.db); again != nil {
		err = errors.Join(err, again)
	}
	return fmt.Errorf("sqlite: %s: nothing was kept: %w", at, err)
}

package integration

import (
	"errors"
	"time"
)

// Kept is how much of what came in with an event is still there (R5.7).
type Kept int

// What is kept of an event's headers and payload.
const (
	KeptWhole    Kept = 0 // the exact bytes
	KeptRedacted Kept = 1 // the payload without the values that its plan names
	KeptNothing  Kept = 2 // neither; the event's id still tells a repeat
)

// ErrNotKept says that the event can't be processed again, because its payload had its
// time, or could not be kept without what its plan redacts.
var ErrNotKept = errors.New("what came in with it is not kept any more")

// Expiry says what of one service's events has had its time.
type Expiry struct {
	Service string
	// Payload: payloads and headers of processed and ignored events that were
	// received before it are emptied. Zero empties none.
	Payload time.Time
	// IDs: events with a final status that were received before it are deleted
	// with their deliveries, failed ones with their payload. Zero deletes none.
	IDs time.Time
	// From leaves alone what was received before it: where the step before got
	// to. Zero begins with the oldest.
	From time.Time
}

// Step bounds what one transaction of a deletion does. The zero value does
// nothing.
type Step struct {
	Rows  int   // at most
	Bytes int64 // of payloads, as they are stored; one row may have more
}

// Swept is what one step of a deletion did.
type Swept struct {
	Payloads   int           // emptied
	Events     int           // deleted
	Deliveries int           // of them, deleted
	Calls      int           // deleted
	Attempts   int           // of them, deleted
	Uses       int           // of credentials, deleted
	Bytes      int64         // of payloads, as they were stored
	Took       time.Duration // the transaction and its commit, without the wait for its turn
	// Reached is when what was done last was received: From of the next step.
	Reached time.Time
	More    bool // there may be more
}

// Rows is how many records the step emptied or deleted, without those that belong
// to them.
func (s Swept) Rows() int { return s.Payloads + s.Events + s.Calls + s.Uses }

// Add adds what another step did, but for Reached and More.
func (s *Swept) Add(o Swept) {
	s.Payloads += o.Payloads
	s.Events += o.Events
	s.Deliveries += o.Deliveries
	s.Calls += o.Calls
	s.Attempts += o.Attempts
	s.Uses += o.Uses
	s.Bytes += o.Bytes
	s.Took += o.Took
}

// Due is how much has had its time and is still there.
type Due struct {
	Payloads int // to be emptied
	Events   int // to be deleted
	Calls    int // to be deleted
}

// HousekeepingTurn is one process's turn to delete what has had its time.
type HousekeepingTurn struct {
	Mine  bool      // nobody else has it
	First bool      // nobody ever had one in this database
	From  time.Time // nothing is deleted before
}

// TableSize is how large one table is, its indexes included.
type TableSize struct {
	Table string
	Rows  int64 // about; -1 when it is not known
	Bytes int64 // -1 when it is not known
}

// StoreSize is how large the database is.
type StoreSize struct {
	Bytes  int64 // all there is on the disk that the database knows of
	Free   int64 // of these, what is used again before more is taken; -1 when it is not known
	Log    int64 // the write-ahead log; -1 when it is not known
	Tables []TableSize
}

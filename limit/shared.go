package limit

import (
	"context"
	"errors"
	"time"
)

// MaxRetry is after how long a Limiter with callers asks again at the latest,
// however long the ledger says that nothing can be had: somebody may have given
// something back.
const MaxRetry = 2 * time.Second

// Presence is how long an instance counts as alive after a beat.
const Presence = 7 * time.Second

var errMisfit = errors.New("limit: the ledger's answer does not fit the question")

// Ledger is where the Limiters of several processes share their limits (R4.13).
// A Limiter asks it for units ahead of its callers, some at once and some from
// an instant on, uses them without asking again, and with the next question
// says when it used them and hands back the rest. So most turns need no round
// trip.
//
// What keeps all of them together below a limit is how units are counted: from
// the grant on, as if they were used at the last instant at which they can be,
// until their Limiter says when they were. A Limiter that dies therefore never
// makes the others exceed a limit.
//
// The clock is the Ledger's. A Limiter knows of it only from answers: an instant
// of its own is at most as late, on the Ledger's clock, as the answer's instant
// plus the time since the question was sent.
type Ledger interface {
	// Settle answers a Settlement, in one step that nothing comes between. After
	// an error nothing is known: it may have been carried out or not, and is
	// repeated with the same sequence numbers, which carries it out once.
	Settle(ctx context.Context, s *Settlement) (*Settled, error)
}

// Settlement is what one Limiter has to say and to ask.
type Settlement struct {
	Instance string // of the Limiter, unique
	// Beat asks to be counted among the instances for a while, and how many there
	// are; Leave says that there will be no further settlement.
	Beat, Leave bool
	// Pause holds all instances back for that long: the provider asked for it.
	Pause      time.Duration
	Statements []Statement
}

// Statement is about one account: a limit, or one tenant's part of it.
type Statement struct {
	Account string
	// Share of the limit is what all instances together may take in any stretch
	// of Length. Times are counted in slots of Slot, on the Ledger's clock.
	Share  int64
	Length time.Duration
	Slot   time.Duration
	// Horizon is how far ahead units are granted; Validity is how long they may
	// be used after that.
	Horizon, Validity time.Duration
	// Epoch is the account's as last seen, 0 when it was not. It changes when the
	// Ledger lost its memory.
	Epoch int64
	// Sequence is another one for each set of Entries.
	Sequence int64
	// Join says that Entries are all that this instance took in the last Length,
	// so that an account without memory gets it back.
	Join    bool
	Entries []Entry
	// Back says that the instance was without the ledger for a while and took what
	// it has not said yet; others may have done so too. Whole says that nothing is
	// taken any more but what is granted, so that with these Entries all is said.
	Back, Whole bool
	// Instances is how many there were when last seen. An account that lost its
	// memory, or does not know what was taken meanwhile, waits for all of them to
	// join or be back, for a while; until then nobody is granted more than its
	// Ceiling.
	Instances int
	Ceiling   int64
	// Want is how much is wanted, Least how much is needed to be of use.
	Want, Least int64
	// Left is what is left of Share by the provider's count, for LeftFor; less
	// than 0: it has not told. Ends says that LeftFor is told by the provider, so
	// that what is told until the same instant is about the same window.
	Left    int64
	LeftFor time.Duration
	Ends    bool
}

// Entry changes what is booked in a slot.
type Entry struct {
	Slot  int64
	Units int64
}

// Settled is the answer to a Settlement.
type Settled struct {
	Instances int           // that are alive; 0 when not asked
	Pause     time.Duration // how long everybody is held back still
	Accounts  []Granted     // in the order of the statements
}

// Granted is the answer to a Statement.
type Granted struct {
	Epoch int64
	Now   int64 // microseconds on the Ledger's clock
	// Unknown says that the epoch is another one: nothing was done, and the
	// instance has to join.
	Unknown bool
	Grants  []Grant
	Expiry  int64         // slot in which the grants are booked; they can't be used after its end
	Total   int64         // booked by all, the grants included
	Retry   time.Duration // nothing more can be had before
}

// Grant is a number of units that may be used from an instant on.
type Grant struct {
	After time.Duration // 0: at once
	Units int64
}

// Package redis shares limits between instances through a Redis (R4.13). It is
// the Ledger of package limit as one script: a settlement is one round trip,
// whatever the number of accounts, and the clock is the server's.
//
// It does what package limit/ledger does, and is held to the same tests, one
// of which asks both the same questions and wants the same answers.
package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/sallyport/sallyport/limit"
)

//go:embed settle.lua
var script string

var settle = rueidis.NewLuaScript(script)

// Ledger keeps the accounts of one group: the limits of one service in one
// environment. It may be used by many goroutines at once.
type Ledger struct {
	client rueidis.Client
	prefix string
	clock  func() int64 // of a test, microseconds; nil: the server's
}

// New makes the Ledger of a group. All instances that name the same group share
// its limits; it must not contain braces. The keys of a group are on one node of
// a Redis Cluster. The client stays the caller's.
func New(client rueidis.Client, group string) *Ledger {
	return &Ledger{client: client, prefix: "sallyport:limit:{" + group + "}:"}
}

// Settle runs the script. An error means that Redis can't be reached or answers
// nonsense.
func (l *Ledger) Settle(ctx context.Context, s *limit.Settlement) (*limit.Settled, error) {
	numbers, err := settle.Exec(ctx, l.client, l.keys(s), l.arguments(s)).AsIntSlice()
	if err != nil {
		return nil, fmt.Errorf("limit/redis: %w", err)
	}
	return read(numbers, s)
}

// keys are those of the script, in its order.
func (l *Ledger) keys(s *limit.Settlement) []string {
	keys := make([]string, 0, 2+2*len(s.Statements))
	keys = append(keys, l.prefix+"instances", l.prefix+"pause")
	for i := range s.Statements {
		account := l.prefix + s.Statements[i].Account
		keys = append(keys, account+":slots", account+":people")
	}
	return keys
}

// arguments are those of the script, in its order.
func (l *Ledger) arguments(s *limit.Settlement) []string {
	a := arguments(make([]string, 0, 7+24*len(s.Statements)))
	a = append(a, s.Instance)
	a.bools(s.Beat, s.Leave)
	a.numbers(limit.Presence.Microseconds(), s.Pause.Microseconds())
	if l.clock != nil {
		a.numbers(l.clock())
	} else {
		a.numbers(0)
	}
	a.numbers(int64(len(s.Statements)))
	for i := range s.Statements {
		st := &s.Statements[i]
		a.numbers(st.Share, st.Length.Microseconds(), st.Slot.Microseconds(), st.Horizon.Microseconds(), st.Validity.Microseconds(), st.Epoch, st.Sequence)
		a.bools(st.Join, st.Back, st.Whole)
		a.numbers(int64(st.Instances), st.Ceiling, st.Want, st.Least, st.Left, st.LeftFor.Microseconds())
		a.bools(st.Ends)
		a.numbers(int64(len(st.Entries)))
		for _, e := range st.Entries {
			a.numbers(e.Slot, e.Units)
		}
	}
	return a
}

type arguments []string

func (a *arguments) numbers(numbers ...int64) {
	for _, n := range numbers {
		*a = append(*a, strconv.FormatInt(n, 10))
	}
}

func (a *arguments) bools(bools ...bool) {
	for _, b := range bools {
		if b {
			*a = append(*a, "1")
		} else {
			*a = append(*a, "0")
		}
	}
}

var errAnswer = errors.New("limit/redis: the script's answer is cut short: is there another program on these keys?")

// read takes the script's answer apart.
func read(numbers []int64, s *limit.Settlement) (*limit.Settled, error) {
	if len(numbers) < 2 {
		return nil, errAnswer
	}
	answer := &limit.Settled{Instances: int(numbers[0]), Pause: time.Duration(numbers[1]) * time.Microsecond, Accounts: make([]limit.Granted, len(s.Statements))}
	numbers = numbers[2:]
	for i := range answer.Accounts {
		if len(numbers) < 7 || int64(len(numbers)-7) < 2*numbers[6] {
			return nil, errAnswer
		}
		g := &answer.Accounts[i]
		g.Epoch, g.Now, g.Unknown, g.Expiry, g.Total = numbers[0], numbers[1], numbers[2] == 1, numbers[3], numbers[4]
		g.Retry = time.Duration(numbers[5]) * time.Microsecond
		n := numbers[6]
		numbers = numbers[7:]
		for ; n > 0; n-- {
			g.Grants = append(g.Grants, limit.Grant{After: time.Duration(numbers[0]) * time.Microsecond, Units: numbers[1]})
			numbers = numbers[2:]
		}
	}
	return answer, nil
}

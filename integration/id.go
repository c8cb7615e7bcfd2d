package integration

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// newestID is the time part of the newest id: milliseconds since 1970 in the
// upper 52 bits, 4096ths of one below.
var newestID atomic.Int64

// NewID is an id of a call, an event or an attempt made at a moment: a UUID of
// version 7 (RFC 9562, section 5.7) with a finer clock in rand_a (section 6.2,
// method 3). Each id of a process is greater than those before, whatever the
// clock does. Ids are unique, not secret: who knows one can tell when it was
// made, and they come of the runtime's generator, which asks nobody.
func NewID(now time.Time) string {
	nano := now.UnixNano()
	milli := nano / int64(time.Millisecond)
	at := milli<<12 | (nano-milli*int64(time.Millisecond))*4096/int64(time.Millisecond)
	for {
		newest := newestID.Load()
		at = max(at, newest+1)
		if newestID.CompareAndSwap(newest, at) {
			break
		}
	}
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(at>>12)<<16|0x7000|uint64(at&0xfff))
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()>>2|1<<63)
	text := [36]byte{8: '-', 13: '-', 18: '-', 23: '-'}
	hex.Encode(text[:8], id[:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:], id[10:])
	return string(text[:])
}

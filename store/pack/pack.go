// Package pack makes the bytes of large payloads fewer before they are stored, and
// gives back the exact ones.
//
// Below Least bytes a payload is stored as it is: compressing one costs about as
// much time as all the rest of taking it in, and saves less than a page.
package pack

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Least is the size from which on payloads are compressed, in bytes. Below it a
// row of SQLite fits its page of 4 kB, and compressing would cost a busy door more
// than it saves the disk: see BenchmarkPack.
const Least = 4 << 10

// Most bounds what is unpacked, in bytes, so that a damaged row can't take all
// memory.
const Most = 64 << 20

// encoder and decoder are made when they are needed first; the methods that are
// used of them may be called from many goroutines.
var (
	encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
	})
	decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(Most), zstd.WithDecoderLowmem(true))
	})
)

// Pack returns how a payload is stored, and whether that is compressed. It is the
// payload itself where it is small or does not get smaller by an eighth at least.
func Pack(payload []byte) (stored []byte, packed bool) {
	if len(payload) < Least {
		return payload, false
	}
	e, err := encoder()
	if err != nil {
		return payload, false
	}
	out := e.EncodeAll(payload, make([]byte, 0, len(payload)/2))
	if len(out) > len(payload)-len(payload)/8 {
		return payload, false
	}
	return out, true
}

// Unpack returns the payload that was stored.
func Unpack(stored []byte, packed bool) ([]byte, error) {
	if !packed {
		return stored, nil
	}
	d, err := decoder()
	if err != nil {
		return nil, fmt.Errorf("unpacking a payload: %w", err)
	}
	payload, err := d.DecodeAll(stored, nil)
	if err != nil {
		return nil, fmt.Errorf("a stored payload can't be unpacked, it is damaged: %w", err)
	}
	return payload, nil
}

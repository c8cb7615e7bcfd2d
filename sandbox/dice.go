package sandbox

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// dice is everything that is made up. It belongs to the sandbox's lock.
type dice struct {
	rand  *rand.Rand
	count int64
}

func newDice(seed uint64) *dice {
	return &dice{rand: rand.New(rand.NewPCG(seed, 0x5a11e90e7)), count: 1000}
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func (d *dice) letters(n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(alphabet[d.rand.IntN(len(alphabet))])
	}
	return b.String()
}

// like makes an id of the look of the sample: what stands before its last "_"
// is kept, a UUID becomes another UUID, digits become the next number.
func (d *dice) like(sample string) string {
	if _, err := strconv.ParseInt(sample, 10, 64); err == nil {
		return strconv.FormatInt(d.next(), 10)
	}
	if len(sample) == 36 && strings.Count(sample, "-") == 4 {
		return d.uuid()
	}
	prefix := sample[:strings.LastIndexByte(sample, '_')+1]
	return prefix + d.letters(min(max(len(sample)-len(prefix), 14), 40))
}

func (d *dice) next() int64 {
	d.count++
	return d.count
}

// uuid is of version 4 in form.
func (d *dice) uuid() string {
	const hex = "0123456789abcdef"
	b := []byte("xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx")
	for i := range b {
		if b[i] == 'x' {
			b[i] = hex[d.rand.IntN(16)]
		}
	}
	return string(b)
}

package postgres

import (
	"strings"
	"unicode/utf8"
)

// PostgreSQL takes neither NUL nor bytes that are no UTF-8 in a text, and
// strangers send both. Leaving them out would make one text of two, and an event
// pass for the repeat of another. So each such byte is written as the control
// character SUBSTITUTE (U+001A) and two hexadecimal digits, and so is SUBSTITUTE
// itself: what is read is what was written, and texts that differ stay so.
const substitute = 0x1a

const digits = "0123456789abcdef"

// storable is s as PostgreSQL takes it; nearly always s itself.
func storable(s string) string {
	if strings.IndexByte(s, 0) < 0 && strings.IndexByte(s, substitute) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == 0 || r == substitute || r == utf8.RuneError && size == 1 {
			b.Write([]byte{substitute, digits[s[0]>>4], digits[s[0]&15]})
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// restored undoes storable. What storable never writes is left as it is.
func restored(s string) string {
	if strings.IndexByte(s, substitute) < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for {
		before, after, found := strings.Cut(s, string(rune(substitute)))
		b.WriteString(before)
		if !found {
			return b.String()
		}
		high, low := -1, -1
		if len(after) >= 2 {
			high, low = strings.IndexByte(digits, after[0]), strings.IndexByte(digits, after[1])
		}
		if high < 0 || low < 0 {
			b.WriteByte(substitute)
			s = after
			continue
		}
		b.WriteByte(byte(high<<4 | low))
		s = after[2:]
	}
}

// storableAll is a list of texts as PostgreSQL takes them: the list itself, if
// it takes all of them.
func storableAll(list []string) []string {
	for i, s := range list {
		t := storable(s)
		if len(t) == len(s) {
			continue
		}
		changed := append([]string(nil), list...)
		for j := i; j < len(changed); j++ {
			changed[j] = storable(changed[j])
		}
		return changed
	}
	return list
}

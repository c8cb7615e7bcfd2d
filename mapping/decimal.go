package mapping

// maxDigits bounds a number written out in full.
const maxDigits = 128

// decimal is an exact decimal number: digits (without leading zeros; none for
// zero) of which the last scale stand after the point.
type decimal struct {
	negative bool
	n        int // digits in use
	scale    int // never negative
	digits   [maxDigits]byte
}

const (
	notANumber = "not a decimal number"
	tooLong    = "a number of more than 128 digits"
)

// parse reads the text of a JSON number, exponent included. It returns what is
// wrong, or "".
func (d *decimal) parse(text []byte) string {
	d.negative, d.n, d.scale = false, 0, 0
	i := 0
	if i < len(text) && text[i] == '-' {
		d.negative = true
		i++
	}
	start := i
	for ; i < len(text) && text[i]-'0' <= 9; i++ {
		if !d.push(text[i]) {
			return tooLong
		}
	}
	if i == start || (text[start] == '0' && i > start+1) {
		return notANumber
	}
	if i < len(text) && text[i] == '.' {
		i++
		start = i
		for ; i < len(text) && text[i]-'0' <= 9; i++ {
			if !d.push(text[i]) || d.scale == maxDigits {
				return tooLong
			}
			d.scale++
		}
		if i == start {
			return notANumber
		}
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		exponent, ok := parseExponent(text[i+1:])
		if !ok {
			return notANumber
		}
		return d.shift(exponent)
	}
	if i != len(text) {
		return notANumber
	}
	d.negative = d.negative && d.n > 0
	return ""
}

func (d *decimal) push(digit byte) bool {
	if digit == '0' && d.n == 0 {
		return true
	}
	if d.n == maxDigits {
		return false
	}
	d.digits[d.n] = digit
	d.n++
	return true
}

// parseExponent saturates far outside of what shift allows.
func parseExponent(text []byte) (exponent int, ok bool) {
	sign := 1
	if len(text) > 0 && (text[0] == '+' || text[0] == '-') {
		if text[0] == '-' {
			sign = -1
		}
		text = text[1:]
	}
	for _, c := range text {
		if c-'0' > 9 {
			return 0, false
		}
		exponent = min(exponent*10+int(c-'0'), 1_000_000)
	}
	return sign * exponent, len(text) > 0
}

// shift multiplies by ten to the power of exponent.
func (d *decimal) shift(exponent int) string {
	d.negative = d.negative && d.n > 0
	d.scale -= exponent
	if d.scale > maxDigits {
		return tooLong
	}
	if d.scale >= 0 {
		return ""
	}
	zeros := -d.scale
	d.scale = 0
	if d.n == 0 {
		return ""
	}
	if d.n+zeros > maxDigits {
		return tooLong
	}
	for range zeros {
		d.push('0')
	}
	return ""
}

// rescale gives the number exactly scale digits after the point. It is false
// when that would lose some, or the number would get too long.
func (d *decimal) rescale(scale int) bool {
	for d.scale > scale {
		if d.n > 0 {
			if d.digits[d.n-1] != '0' {
				return false
			}
			d.n--
		}
		d.scale--
	}
	if d.n > 0 && d.n+scale-d.scale > maxDigits {
		return false
	}
	for d.scale < scale {
		d.push('0')
		d.scale++
	}
	return true
}

// isZero reports whether the number is zero.
func (d *decimal) isZero() bool { return d.n == 0 }

// appendTo writes the number in plain notation: no exponent, no leading zeros,
// no sign on zero, every digit of its scale.
func (d *decimal) appendTo(dst []byte) []byte {
	if d.negative {
		dst = append(dst, '-')
	}
	whole := d.n - d.scale
	if whole > 0 {
		dst = append(dst, d.digits[:whole]...)
	} else {
		dst = append(dst, '0')
	}
	if d.scale == 0 {
		return dst
	}
	dst = append(dst, '.')
	for range -whole {
		dst = append(dst, '0')
	}
	return append(dst, d.digits[max(whole, 0):d.n]...)
}

// int64 gives the value of a number of scale 0; ok is false beyond 18 digits.
func (d *decimal) int64() (n int64, ok bool) {
	if d.scale != 0 || d.n > 18 {
		return 0, false
	}
	for _, c := range d.digits[:d.n] {
		n = n*10 + int64(c-'0')
	}
	if d.negative {
		n = -n
	}
	return n, true
}

package mapping

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
)

// value is where one JSON value lies in the input. Kind is its first byte, with
// '0' for every number; zero means that it was not there.
type value struct {
	start, end int32
	kind       byte
	escaped    bool // a string that holds a backslash
}

func (v value) raw(input []byte) []byte { return input[v.start:v.end] }

// node is one place in the input that some row wants to see, or passes through.
type node struct {
	slot     int // where the value goes; -1: only passed through
	children []child
	lengths  uint64 // which lengths (mod 64) the children's names have
}

type child struct {
	name string
	node *node
}

// maxChildren bounds the names that may be read from one object.
const maxChildren = 256

func newNode() *node { return &node{slot: -1} }

// add makes the node at path exist and returns it.
func (n *node) add(path []string) *node {
	for _, name := range path {
		i := n.find([]byte(name))
		if i < 0 {
			i = len(n.children)
			n.children = append(n.children, child{name, newNode()})
			n.lengths |= 1 << (len(name) & 63)
		}
		n = n.children[i].node
	}
	return n
}

func (n *node) find(name []byte) int {
	if n.lengths&(1<<(len(name)&63)) == 0 {
		return -1
	}
	for i := range n.children {
		if n.children[i].name == string(name) {
			return i
		}
	}
	return -1
}

type problem byte

const (
	problemSyntax problem = iota
	problemDepth
	problemRepeated
	problemRoot
)

// scanner checks JSON while walking over it. Its methods take the position of
// what they read and return the position after it, or the complement of the
// place where something is wrong.
type scanner struct {
	data    []byte
	problem problem
	escaped bool // the string read last holds a backslash
	nameEnd int  // where the closing quote of the name read last is
}

// document reads the whole input, which must be an object.
func (s *scanner) document(n *node, slots []value) int {
	i := s.space(0)
	if i < len(s.data) && s.data[i] != '{' {
		if end := s.skip(i, 1); end >= 0 {
			s.problem = problemRoot
		}
		return ^i
	}
	if i == len(s.data) {
		return ^i
	}
	if i = s.object(i, n, slots, 1); i < 0 {
		return i
	}
	if i = s.space(i); i != len(s.data) {
		return ^i
	}
	return i
}

// object follows the key tree through the object at i.
func (s *scanner) object(i int, n *node, slots []value, depth int) int {
	if depth > MaxDepth {
		s.problem = problemDepth
		return ^i
	}
	d := s.data
	if i = s.space(i + 1); i < len(d) && d[i] == '}' {
		return i + 1
	}
	var seen [maxChildren / 64]uint64
	for {
		start := i
		if i = s.name(i); i < 0 {
			return i
		}
		key := d[start+1 : s.nameEnd]
		if s.escaped {
			key = unescape(d[start : start+len(key)+2])
		}
		if k := n.find(key); k < 0 {
			i = s.skip(i, depth+1)
		} else {
			if seen[k/64]&(1<<(k%64)) != 0 {
				s.problem = problemRepeated
				return ^start
			}
			seen[k/64] |= 1 << (k % 64)
			i = s.read(i, n.children[k].node, slots, depth+1)
		}
		if i < 0 {
			return i
		}
		i = s.space(i)
		switch {
		case i < len(d) && d[i] == ',':
			i = s.space(i + 1)
		case i < len(d) && d[i] == '}':
			return i + 1
		default:
			return ^i
		}
	}
}

// read takes down the value at i for n, and follows n's children into it.
func (s *scanner) read(i int, n *node, slots []value, depth int) int {
	start := i
	if i >= len(s.data) {
		return ^i
	}
	kind := s.data[i]
	if kind == '{' && len(n.children) > 0 {
		i = s.object(i, n, slots, depth)
	} else {
		i = s.skip(i, depth)
	}
	if i >= 0 && n.slot >= 0 {
		if kind == '-' || kind-'0' <= 9 {
			kind = '0'
		}
		slots[n.slot] = value{start: int32(start), end: int32(i), kind: kind, escaped: kind == '"' && s.escaped}
	}
	return i
}

// name reads a member's name and its colon, up to the value.
func (s *scanner) name(i int) int {
	if i >= len(s.data) || s.data[i] != '"' {
		return ^i
	}
	if i = s.str(i); i < 0 {
		return i
	}
	s.nameEnd = i - 1
	if i = s.space(i); i >= len(s.data) || s.data[i] != ':' {
		return ^i
	}
	return s.space(i + 1)
}

// skip passes over the value at i.
func (s *scanner) skip(i, depth int) int {
	d := s.data
	if i >= len(d) {
		return ^i
	}
	switch d[i] {
	case '"':
		return s.str(i)
	case '{', '[':
		return s.skipContainer(i, depth)
	case 't':
		return s.word(i, "true")
	case 'f':
		return s.word(i, "false")
	case 'n':
		return s.word(i, "null")
	}
	return s.number(i)
}

func (s *scanner) skipContainer(i, depth int) int {
	if depth > MaxDepth {
		s.problem = problemDepth
		return ^i
	}
	d := s.data
	closing := d[i] + 2 // '}' and ']' follow their openings at a distance of two
	if i = s.space(i + 1); i < len(d) && d[i] == closing {
		return i + 1
	}
	for {
		if closing == '}' {
			if i = s.name(i); i < 0 {
				return i
			}
		}
		if i = s.skip(i, depth+1); i < 0 {
			return i
		}
		i = s.space(i)
		switch {
		case i < len(d) && d[i] == ',':
			i = s.space(i + 1)
		case i < len(d) && d[i] == closing:
			return i + 1
		default:
			return ^i
		}
	}
}

func (s *scanner) space(i int) int {
	for i < len(s.data) {
		switch s.data[i] {
		case ' ', '\n', '\r', '\t':
			i++
		default:
			return i
		}
	}
	return i
}

func (s *scanner) word(i int, word string) int {
	if len(s.data)-i < len(word) || string(s.data[i:i+len(word)]) != word {
		return ^i
	}
	return i + len(word)
}

const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// str passes over the string whose opening quote is at i, eight bytes at a time
// while nothing in them is special.
func (s *scanner) str(i int) int {
	s.escaped = false
	d := s.data
	i++
	for {
		for i+8 <= len(d) {
			w := binary.LittleEndian.Uint64(d[i:])
			quote, slash := w^(ones*'"'), w^(ones*'\\')
			special := ((quote - ones) &^ quote) | ((slash - ones) &^ slash) | ((w - ones*0x20) &^ w)
			if special &= high; special != 0 {
				i += bits.TrailingZeros64(special) >> 3
				break
			}
			i += 8
		}
		for i < len(d) && d[i] >= 0x20 && d[i] != '"' && d[i] != '\\' {
			i++
		}
		if i >= len(d) || d[i] < 0x20 {
			return ^i
		}
		if d[i] == '"' {
			return i + 1
		}
		s.escaped = true
		if i = s.escape(i); i < 0 {
			return i
		}
	}
}

func (s *scanner) escape(i int) int {
	d := s.data
	if i+1 >= len(d) {
		return ^len(d)
	}
	switch d[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		for k := i + 2; k < i+6; k++ {
			if k >= len(d) || !isHex(d[k]) {
				return ^min(k, len(d))
			}
		}
		return i + 6
	}
	return ^(i + 1)
}

func isHex(c byte) bool {
	return c-'0' <= 9 || c|0x20-'a' <= 5
}

func (s *scanner) number(i int) int {
	d := s.data
	if d[i] == '-' {
		i++
	}
	switch {
	case i < len(d) && d[i] == '0':
		i++
	case i < len(d) && d[i]-'1' <= 8:
		i = s.digits(i)
	default:
		return ^i
	}
	if i < len(d) && d[i] == '.' {
		if i = s.digits(i + 1); i < 0 {
			return i
		}
	}
	if i < len(d) && d[i]|0x20 == 'e' {
		i++
		if i < len(d) && (d[i] == '+' || d[i] == '-') {
			i++
		}
		i = s.digits(i)
	}
	return i
}

// digits wants at least one.
func (s *scanner) digits(i int) int {
	start := i
	for i < len(s.data) && s.data[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return ^i
	}
	return i
}

// unescape gives the text of a JSON string, quotes and escapes included in raw.
// Half of a surrogate pair becomes U+FFFD.
func unescape(raw []byte) []byte {
	var text string
	_ = json.Unmarshal(raw, &text) // the scanner has checked it
	return []byte(text)
}

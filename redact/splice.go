package redact

import (
	"encoding/json"
	"slices"
	"strconv"
)

// json replaces values in a valid document. It returns the document itself where
// there is none of them.
func (n *node) json(document []byte) []byte {
	w := walker{in: document}
	w.value([]*node{n}, 0)
	if w.done == 0 {
		return document
	}
	return append(w.out, document[w.done:]...)
}

// walker copies a document up to each value that is replaced.
type walker struct {
	in   []byte
	out  []byte
	done int // what stands before it in the input was copied or replaced
}

// value walks over one value, which begins at or after i, and returns where it
// ends. The nodes are the steps that lead on from here; there may be several,
// because [*] and a key can both apply.
func (w *walker) value(nodes []*node, i int) int {
	i = w.space(i)
	if len(nodes) == 0 {
		return w.skip(i)
	}
	if slices.ContainsFunc(nodes, func(n *node) bool { return n.here }) {
		end := w.skip(i)
		w.out = append(append(w.out, w.in[w.done:i]...), markJSON...)
		w.done = end
		return end
	}
	switch w.in[i] {
	case '{':
		return w.object(nodes, i+1)
	case '[':
		return w.array(nodes, i+1)
	}
	return w.skip(i)
}

func (w *walker) object(nodes []*node, i int) int {
	for i = w.space(i); w.in[i] != '}'; i = w.space(i) {
		if w.in[i] == ',' {
			i = w.space(i + 1)
		}
		end := w.skip(i)
		var below []*node
		key, known := w.key(i, end)
		for _, n := range nodes {
			if next := n.keys[key]; known && next != nil {
				below = append(below, next)
			}
			if n.each != nil {
				below = append(below, n.each)
			}
		}
		i = w.space(end) + 1 // the colon
		i = w.value(below, i)
	}
	return i + 1
}

func (w *walker) array(nodes []*node, i int) int {
	for at := 0; ; at++ {
		if i = w.space(i); w.in[i] == ']' {
			return i + 1
		}
		if w.in[i] == ',' {
			i++
		}
		var below []*node
		for _, n := range nodes {
			if n.each != nil {
				below = append(below, n.each)
			}
			if next := n.indexes[at]; next != nil {
				below = append(below, next)
			}
			if next := n.keys[strconv.Itoa(at)]; next != nil {
				below = append(below, next)
			}
			if len(n.keys) > 0 { // a list where an object was meant
				below = append(below, &node{keys: n.keys})
			}
		}
		i = w.value(below, i)
	}
}

// key decodes the string from start to end.
func (w *walker) key(start, end int) (key string, ok bool) {
	raw := w.in[start:end]
	if !slices.Contains(raw, '\\') {
		return string(raw[1 : len(raw)-1]), true
	}
	return key, json.Unmarshal(raw, &key) == nil
}

func (w *walker) space(i int) int {
	for i < len(w.in) && (w.in[i] == ' ' || w.in[i] == '\t' || w.in[i] == '\n' || w.in[i] == '\r') {
		i++
	}
	return i
}

// skip returns where the value that begins at i ends.
func (w *walker) skip(i int) int {
	switch w.in[i] {
	case '"':
		return w.text(i)
	case '{', '[':
		for depth := 0; ; i++ {
			switch w.in[i] {
			case '"':
				i = w.text(i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	for i < len(w.in) {
		switch w.in[i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return i
		}
		i++
	}
	return i
}

// text returns where the string that begins at i ends.
func (w *walker) text(i int) int {
	for i++; w.in[i] != '"'; i++ {
		if w.in[i] == '\\' {
			i++
		}
	}
	return i + 1
}

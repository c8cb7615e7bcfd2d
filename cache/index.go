package cache

import (
	"net/http"
	"net/url"
	"strings"
)

// place is where an answer lives: whose it is, at which origin, and its path in
// segments. Writes are related to answers by it.
type place struct {
	home string // tenant and origin
	path []string
}

// maxDepth bounds the path of a kept answer; no API nests so deep.
const maxDepth = 64

func placeOf(tenant string, u *url.URL) place {
	p := place{home: tenant + "\x00" + origin(u)}
	for segment := range strings.SplitSeq(u.EscapedPath(), "/") {
		if segment != "" {
			p.path = append(p.path, segment)
		}
	}
	return p
}

// touches reports whether a write at one place can change what stands at the
// other: the same path, above or below.
func (p place) touches(q place) bool {
	if p.home != q.home {
		return false
	}
	for i := range min(len(p.path), len(q.path)) {
		if p.path[i] != q.path[i] {
			return false
		}
	}
	return true
}

// index finds the keys of all answers at a path, above or below it.
type index map[string]*node // by home

type node struct {
	below map[string]*node
	keys  map[key]struct{}
}

func (x index) add(p place, k key) {
	n := x[p.home]
	if n == nil {
		n = &node{}
		x[p.home] = n
	}
	for _, segment := range p.path {
		next := n.below[segment]
		if next == nil {
			next = &node{}
			if n.below == nil {
				n.below = map[string]*node{}
			}
			n.below[segment] = next
		}
		n = next
	}
	if n.keys == nil {
		n.keys = map[key]struct{}{}
	}
	n.keys[k] = struct{}{}
}

// remove takes a key out, and the branches that bore nothing else.
func (x index) remove(p place, k key) {
	n := x[p.home]
	way := []*node{n}
	for _, segment := range p.path {
		if n == nil {
			return
		}
		n = n.below[segment]
		way = append(way, n)
	}
	if n == nil {
		return
	}
	delete(n.keys, k)
	for i := len(way) - 1; i >= 0; i-- {
		if len(way[i].keys) > 0 || len(way[i].below) > 0 {
			return
		}
		if i == 0 {
			delete(x, p.home)
		} else {
			delete(way[i-1].below, p.path[i-1])
		}
	}
}

// touched are the keys of all answers that a write at p can change.
func (x index) touched(p place) []key {
	n := x[p.home]
	if n == nil {
		return nil
	}
	var out []key
	for _, segment := range p.path {
		for k := range n.keys {
			out = append(out, k)
		}
		if n = n.below[segment]; n == nil {
			return out
		}
	}
	return n.all(out)
}

func (n *node) all(out []key) []key {
	for k := range n.keys {
		out = append(out, k)
	}
	for _, b := range n.below {
		out = b.all(out)
	}
	return out
}

// safe methods change nothing at the provider (RFC 9110, section 9.2.1).
func safe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

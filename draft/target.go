package draft

import "slices"

// names reports whether a clause says every word of a resource's name, where,
// and with which words. The words of a name stand side by side ("invoice
// items", "items of an invoice"). Verbs don't name anything.
func (c *clause) names(o *operation) (at int, words []string, ok bool) {
	if len(o.nouns) == 0 {
		return 0, nil, false
	}
	at = len(c.terms)
	var before *term
	things := 0
	for _, n := range o.nouns {
		i := c.find(n, before, len(o.nouns) > 1)
		if i < 0 {
			return 0, nil, false
		}
		t := &c.terms[i]
		if before != nil && !beside(before, t) {
			return 0, nil, false
		}
		before = t
		if !t.verb {
			things++
		}
		at = min(at, i)
		if !slices.Contains(words, t.word) {
			words = append(words, t.word)
		}
	}
	if things == 0 {
		return 0, nil, false
	}
	for _, t := range c.terms { // "checkout session" names /checkout/sessions
		if t.at == c.terms[at].at-1 && !t.verb && t.sense == 0 && t.weight == 1 && slices.Contains(o.path, t.stem) && !slices.Contains(o.nouns, t.stem) && !slices.Contains(words, t.word) {
			words = append(words, t.word)
		}
	}
	return at, words, true
}

// find the term that names a word, the nearest to the one before.
// A verb may be part of a name, never all of it: requested reviewers.
func (c *clause) find(stem string, before *term, partOfName bool) int {
	best := -1
	for i := range c.terms {
		t := &c.terms[i]
		if t.stem != stem || t.weight < naming && !t.verb || t.verb && (before == nil && !partOfName || before != nil && !beside(before, t)) {
			continue
		}
		if best < 0 || before != nil && !beside(before, &c.terms[best]) && beside(before, t) {
			best = i
		}
	}
	return best
}

func beside(a, b *term) bool {
	const near, far = 2, 3 // profit and loss; items of an invoice
	return b.at-a.at <= near && b.at >= a.at || a.at > b.at && a.at-b.at <= far && a.of
}

// saysAll reports whether a clause says all of some words as things.
func (c *clause) saysAll(stems []string) bool {
	return len(stems) > 0 && !slices.ContainsFunc(stems, func(s string) bool { return c.find(s, nil, false) < 0 })
}

// saysObject reports whether a clause says what an action is done with, beside
// its resource: the tags of get-tags. A call such as chat.postMessage may go
// without.
func (c *clause) saysObject(o *operation) bool {
	return len(o.object) == 0 || o.isCall() || slices.ContainsFunc(o.object, func(s string) bool { _, ok := c.has(s); return ok })
}

// direct is the call that a clause spells out, verb and object: who posts a
// message calls chat.postMessage, who adds followers to a task
// /tasks/{id}/addFollowers. Nil when there is none.
func (c *chooser) direct(cl *clause, scores []float64) *operation {
	var best *operation
	value := 0.0
	for i, o := range c.index.ops {
		if o.old || o.act == "" || len(o.object) == 0 || !cl.acts[o.act] || !cl.saysAll(o.object) || !o.isCall() && !cl.saysAll(o.nouns) {
			continue
		}
		if s := scores[i] * (1 + 0.2*float64(len(o.object))); s > value {
			best, value = o, s
		}
	}
	return best
}

// isCall tells chat.postMessage, which says all, from the action of a resource.
func (o *operation) isCall() bool {
	_, _, ok := rpc(lastSegment(o.Path))
	return ok
}

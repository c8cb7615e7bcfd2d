package draft

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// target is a resource that a clause names.
type target struct {
	group string
	ops   []*operation
	at    int     // where the clause names it
	value float64 // how well it can do what the clause asks for
	words []string
	// lay: it was called by another name; aside: it was, and is a person or a
	// place that has to do with what is asked for, not the thing itself.
	lay, aside bool
}

// many reports whether the words that name a resource speak of several: "show
// the invoices".
func (t *target) many() bool {
	if len(t.words) == 0 {
		return false
	}
	words := split(t.words[len(t.words)-1])
	return len(words) > 0 && isPlural(words[len(words)-1])
}

// targets are the resources that a clause names, one for each name: the group
// that can do most of what is asked, then the one with the shortest path.
func (c *chooser) targets(cl *clause, scores []float64) []target {
	best := map[string]target{}
	for _, group := range slices.Sorted(maps.Keys(c.index.groups)) {
		ops := c.index.groups[group]
		o := ops[0]
		at, words, ok := cl.names(o)
		deed := false
		if !ok && c.bestOf(ops, kindCreate, scores) != nil {
			at, words, deed = cl.doing(o.nouns)
		}
		if !ok && !deed {
			continue
		}
		t := target{group: group, ops: ops, at: at, words: words, value: c.ability(cl, ops)}
		if deed {
			t.value += 2
		}
		t.value += 0.7 * float64(c.connected(cl, t, scores))
		if c.partOfLast(cl, t) {
			t.value += 2
		}
		if !deed {
			t.lay, t.aside = cl.calls(o)
			if t.aside {
				t.value -= offCentre
			}
		}
		t.value -= 0.25*float64(len(o.path)) + 0.1*float64(o.holes)
		key := strings.Join(o.nouns, " ")
		if old, twice := best[key]; !twice || t.value > old.value {
			best[key] = t
		}
	}
	list := slices.Collect(maps.Values(best))
	slices.SortFunc(list, func(a, b target) int {
		return cmp.Or(cmp.Compare(len(b.words), len(a.words)), cmp.Compare(a.at, b.at), cmp.Compare(a.group, b.group))
	})
	// "invoice items" names invoice items, not invoices and items.
	var out []target
	used := map[string]bool{}
	for _, t := range list {
		if slices.ContainsFunc(t.words, func(w string) bool { return used[w] }) {
			continue
		}
		for _, w := range t.words {
			used[w] = true
		}
		out = append(out, t)
	}
	slices.SortStableFunc(out, func(a, b target) int {
		return cmp.Compare(b.value-0.35*float64(b.at), a.value-0.35*float64(a.at))
	})
	return out
}

// offCentre is how much less a resource is worth that is only named aside.
const offCentre = 1

// calls reports whether a clause calls a resource by another name than its own,
// and whether it only speaks of it aside: behind a preposition, or as somebody
// who is not taken in, let out or looked for.
func (c *clause) calls(o *operation) (lay, aside bool) {
	for _, n := range o.nouns {
		i := c.find(n, nil, len(o.nouns) > 1)
		if i < 0 || c.terms[i].sense == 0 {
			return false, false
		}
		if c.terms[i].behind || c.terms[i].aside {
			aside = true
		}
	}
	someone := slices.ContainsFunc(o.nouns, func(n string) bool { return persons[n] })
	if someone && !slices.ContainsFunc(c.deeds, func(v verb) bool { return slices.ContainsFunc(v.names, func(s string) bool { return aboutPersons[s] }) }) {
		aside = true
	}
	return true, aside
}

var (
	persons      = stemSet("customer contact user member person people account admin owner employee collaborator lead participant follower supplier vendor merchant")
	aboutPersons = stemSet("add remove delete invite ban unban block kick register onboard search find list create update rename merge suspend archive")
)

// connected is how many of the other things that a clause names a group has to
// do with: they stand in its path, or its operations take them.
func (c *chooser) connected(cl *clause, t target, scores []float64) (n int) {
	maker := c.bestOf(t.ops, kindCreate, scores)
	for _, other := range cl.terms {
		if other.verb || other.weight < 1 || slices.Contains(t.ops[0].nouns, other.stem) {
			continue
		}
		if slices.Contains(t.ops[0].path, other.stem) || maker != nil && c.accepts(maker, other.word) != "" {
			n++
		}
	}
	return n
}

// doing reports whether a verb of the clause is a resource's name: who refunds
// makes a refund, who subscribes a subscription.
func (c *clause) doing(nouns []string) (at int, words []string, ok bool) {
	if len(nouns) != 1 {
		return 0, nil, false
	}
	for i, v := range c.verbs {
		if slices.ContainsFunc(c.deeds[i].names, func(s string) bool { return s == nouns[0] || slices.Contains(kinStems[s], nouns[0]) }) && slices.Contains(c.deeds[i].kinds, kindCreate) {
			return 0, []string{v.word}, true
		}
	}
	return 0, nil, false
}

// ability is how much of what a clause asks for a group can do.
func (c *chooser) ability(cl *clause, ops []*operation) float64 {
	value := 0.0
	for i, k := range cl.kinds {
		if slices.ContainsFunc(ops, func(o *operation) bool { return o.kind == k && k != kindAction && !o.old }) {
			value += []float64{2, 0.7, 0.4, 0.2, 0.1, 0.1, 0.1}[i]
		}
	}
	if slices.ContainsFunc(ops, func(o *operation) bool { return o.act != "" && cl.acts[o.act] }) {
		value += 3
	}
	return value
}

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

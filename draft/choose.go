package draft

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
)

// pick is an operation that goes into the plan.
type pick struct {
	op     *operation
	clause *clause // that asked for it; nil when it was named explicitly
	why    []string
}

// chooser picks operations for the clauses of a need.
type chooser struct {
	doc     *openapi.Document
	index   *index
	clauses []clause
	best    []float64 // of each operation, over the clauses
	from    []int     // the clause of best
	ranked  [][]int   // operations by what they are worth to each clause, best first
	picks   []*pick
	byOp    map[*operation]*pick
	follow  []*operation // one of each resource whose state is to be followed
	missed  []string     // clauses that nothing was found for
	last    []target     // what the clause before named
}

func choose(d *openapi.Document, need string, explicit []openapi.Operation) *chooser {
	c := &chooser{doc: d, index: newIndex(d), clauses: clauses(need), byOp: map[*operation]*pick{}}
	c.best, c.from = make([]float64, len(c.index.ops)), make([]int, len(c.index.ops))
	for _, op := range explicit {
		for _, o := range c.index.ops {
			if o.Call() == op.Call() {
				c.take(nil, o, explicitWhy)
			}
		}
	}
	for i := range c.clauses {
		c.clauses[i].adapt(c.index)
	}
	for i := range c.clauses {
		c.clause(i)
	}
	return c
}

// explicitWhy begins the reason of an operation that a person named.
const explicitWhy = "named explicitly when the plan was written"

func (c *chooser) take(cl *clause, o *operation, why string) *pick {
	if p, ok := c.byOp[o]; ok {
		if len(p.why) < 3 && !slices.Contains(p.why, why) {
			p.why = append(p.why, why)
		}
		return p
	}
	p := &pick{op: o, clause: cl, why: []string{why}}
	c.byOp[o] = p
	c.picks = append(c.picks, p)
	return p
}

func (c *chooser) clause(i int) {
	cl := &c.clauses[i]
	if cl.again && i > 0 { // "its", "them": what the clause before spoke of
		for _, t := range c.clauses[c.antecedent(i)].terms {
			if !t.verb {
				t.weight *= 0.5
				cl.terms = append(cl.terms, t)
			}
		}
	}
	scores := cl.rank(c.index)
	c.ranked = append(c.ranked, order(scores))
	for o, s := range scores {
		if s > c.best[o] {
			c.best[o], c.from[o] = s, i
		}
	}
	if cl.occasion { // events may fit it, operations don't
		return
	}
	before := len(c.picks)
	touched := false
	if o := c.direct(cl, scores); o != nil && len(cl.verbs) == 1 {
		t := target{group: o.group, ops: c.index.groups[o.group]}
		c.take(cl, o, c.reason(cl, o))
		c.company(cl, t, o, scores)
		c.last = []target{t}
		return
	}
	targets := c.targets(cl, scores)
	if len(targets) == 0 && cl.again {
		targets = c.last
	}
	if len(targets) > 0 {
		c.last = targets
	}
	if len(targets) > 0 {
		touched = c.serve(cl, targets, scores)
	}
	c.leader(cl, scores, touched)
	if len(c.picks) == before && !touched {
		c.missed = append(c.missed, cl.text)
	}
}

// antecedent is the clause that "its" and "them" refer to: the one before that
// says what is to be done, not on which occasion.
func (c *chooser) antecedent(i int) int {
	for before := i - 1; before >= 0; before-- {
		if !c.clauses[before].occasion {
			return before
		}
	}
	return i - 1
}

// partOfLast reports whether a group is a part of what "its" refers to: the
// comments of an issue.
func (c *chooser) partOfLast(cl *clause, t target) bool {
	if !cl.again {
		return false
	}
	return slices.ContainsFunc(c.last, func(whole target) bool {
		return whole.group != t.group && strings.HasPrefix(t.group, whole.group+"/")
	})
}

// target is a resource that a clause names.
type target struct {
	group string
	ops   []*operation
	at    int     // where the clause names it
	value float64 // how well it can do what the clause asks for
	words []string
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

// serve takes what a clause asks for from the resources it names. The first can
// do most of it; the others are what it needs, or are treated alike.
func (c *chooser) serve(cl *clause, targets []target, scores []float64) (done bool) {
	main := targets[0]
	taken := c.deeds(cl, main, scores)
	for _, other := range targets[1:] {
		if slices.ContainsFunc(stems(main.group), func(s string) bool { return slices.Contains(other.ops[0].nouns, s) }) {
			if other.at < main.at && cl.asks(kindCreate) { // "publish a version with a file"
				taken = append(taken, c.deeds(cl, other, scores)...)
			}
			continue // else it stands in the path already
		}
		link := c.link(taken, other)
		switch {
		case link == nil:
			taken = append(taken, c.deeds(cl, other, scores)...)
		case cl.asks(kindCreate) && link.kind == kindCreate:
			c.prerequisite(cl, other, link, scores)
		}
	}
	if cl.asks(kindFollow) {
		for _, t := range targets {
			c.follow = append(c.follow, t.ops[0])
		}
	}
	return len(taken) > 0
}

// deeds takes the operations of one resource that carry out the verbs.
func (c *chooser) deeds(cl *clause, t target, scores []float64) (taken []*operation) {
	add := func(o *operation) {
		if o != nil && !slices.Contains(taken, o) {
			c.take(cl, o, c.reason(cl, o))
			taken = append(taken, o)
		}
	}
	for _, v := range cl.deeds {
		exact := -1
		for _, name := range v.names {
			fits := func(o *operation) bool { return o.act == name && !o.old && cl.saysObject(o) }
			if exact < 0 {
				exact = slices.IndexFunc(t.ops, func(o *operation) bool { return fits(o) && o.Method != http.MethodGet })
			}
			if exact < 0 {
				exact = slices.IndexFunc(t.ops, fits)
			}
		}
		if exact >= 0 && v.kinds[0] != kindCreate {
			add(t.ops[exact])
			if slices.ContainsFunc(v.names, func(s string) bool { return outgoing[s] }) && t.ops[exact].holesOfPath() > t.ops[exact].holes { // what is sent has to be there
				add(c.bestOf(t.ops, kindCreate, scores))
			}
			continue
		}
		found := false
		kinds := v.kinds
		if len(kinds) > 1 && kinds[0] == kindRead && kinds[1] == kindList && t.many() {
			kinds = []kind{kindList, kindRead}
		}
		for _, k := range kinds {
			if k == kindFollow {
				k = kindRead
			}
			if o := c.bestOf(t.ops, k, scores); o != nil && !found && k != kindAction {
				add(o)
				found = true
			}
		}
		if !found && v.kinds[0] == kindUpdate { // a PUT that makes or changes
			add(c.putOf(t.ops))
		}
		if slices.Contains(v.kinds, kindAction) {
			for _, o := range t.ops {
				if o.act != "" && slices.Contains(v.does, o.act) && cl.saysObject(o) && !o.old && len(taken) < 5 {
					add(o)
				}
			}
		}
	}
	if cl.asks(kindFollow) && len(cl.deeds) == 0 {
		add(c.bestOf(t.ops, kindRead, scores))
	}
	for _, o := range slices.Clone(taken) {
		c.company(cl, t, o, scores)
	}
	return taken
}

// outgoing are verbs whose object is made to be sent.
var outgoing = stemSet("send email publish")

// putOf is the PUT of a resource that makes one or changes it; nil when there
// is none.
func (c *chooser) putOf(ops []*operation) *operation {
	for _, o := range ops {
		if o.Method == http.MethodPut && o.kind == kindCreate && !o.old {
			return o
		}
	}
	return nil
}

// bestOf is the operation of a kind that ranks first; nil when there is none.
func (c *chooser) bestOf(ops []*operation, k kind, scores []float64) *operation {
	var best *operation
	value := 0.0
	for _, o := range ops {
		if o.kind != k || o.old || k == kindAction {
			continue
		}
		if s := scores[slices.Index(c.index.ops, o)]; best == nil || s > value {
			best, value = o, s
		}
	}
	return best
}

// company takes what an operation needs beside it: a reader for what it
// writes, and the parts of what it creates.
func (c *chooser) company(cl *clause, t target, o *operation, scores []float64) {
	if o.kind != kindRead && o.kind != kindList && o.kind != kindDelete {
		if reader := c.bestOf(t.ops, kindRead, scores); reader != nil && reader.readsAll() {
			if _, taken := c.byOp[reader]; !taken {
				c.take(cl, reader, fmt.Sprintf("reads back what %s writes", o.Call()))
			}
		}
	}
	if o.kind != kindCreate {
		return
	}
	name := stems(singular(t.ops[0].noun))
	for _, group := range slices.Sorted(maps.Keys(c.index.groups)) {
		ops := c.index.groups[group]
		part := ops[0].nouns
		if len(part) != len(name)+1 || !slices.Equal(part[:len(name)], name) || !partWords[part[len(part)-1]] {
			continue
		}
		maker := c.bestOf(ops, kindCreate, scores)
		if maker != nil && c.accepts(maker, t.ops[0].noun) != "" {
			c.take(cl, maker, fmt.Sprintf("makes the parts of what %s creates: it takes %q", o.Call(), c.accepts(maker, t.ops[0].noun)))
		}
	}
}

// readsAll tells a reader of the resource from one of something about it:
// users.info from chat.getPermalink.
func (o *operation) readsAll() bool {
	last := lastSegment(o.Path)
	return o.act == "" || readerCalls[last[strings.LastIndexByte(last, '.')+1:]]
}

var readerCalls = set("get info read show retrieve lookup")

// partWords end the name of a resource that is a part of another.
var partWords = stemSet("item line entry row position")

// link finds an operation that takes another resource as a parameter.
func (c *chooser) link(ops []*operation, other target) *operation {
	for _, o := range ops {
		if c.accepts(o, other.ops[0].noun) != "" {
			return o
		}
	}
	return nil
}

// accepts returns the parameter or field by which an operation takes a
// resource: customer, customer_id, customerId. Empty: it takes none.
func (c *chooser) accepts(o *operation, noun string) string {
	one := snake(singular(noun))
	fits := func(name string) bool {
		n := snake(name)
		return n == one || n == one+"_id" || n == one+"_ids" || n == snake(noun)
	}
	for _, p := range o.Parameters {
		if fits(p.Name) {
			return p.Name
		}
	}
	if o.Request == nil {
		return ""
	}
	for _, p := range c.properties(o.Request.Schema) {
		if fits(p.Name) {
			return p.Name
		}
	}
	return ""
}

// prerequisite takes the operations that make and read what another needs.
func (c *chooser) prerequisite(cl *clause, t target, needs *operation, scores []float64) {
	why := fmt.Sprintf("“%s” names the path, and %s takes %q: it has to be there first", strings.Join(t.words, " "), needs.Call(), c.accepts(needs, t.ops[0].noun))
	if maker := c.bestOf(t.ops, kindCreate, scores); maker != nil {
		c.take(cl, maker, why)
		c.company(cl, t, maker, scores)
		return
	}
	if reader := c.bestOf(t.ops, kindRead, scores); reader != nil {
		c.take(cl, reader, why)
	}
}

// leader takes the operation that ranks first where the resources gave
// nothing, or where it is far ahead of what they gave.
func (c *chooser) leader(cl *clause, scores []float64, touched bool) {
	top, best := -1, 0.0
	reached := 0.0
	for i, s := range scores {
		o := c.index.ops[i]
		if _, taken := c.byOp[o]; taken {
			reached = max(reached, s)
		}
		if s > best {
			top, best = i, s
		}
	}
	if top < 0 {
		return
	}
	o := c.index.ops[top]
	if _, taken := c.byOp[o]; taken || !c.said(cl, o) || touched && (best < 1.4*reached || cl.asks(kindFollow)) {
		return
	}
	c.take(cl, o, c.reason(cl, o))
	c.company(cl, target{ops: c.index.groups[o.group]}, o, scores)
	if cl.asks(kindFollow) {
		c.follow = append(c.follow, o)
	}
}

// said reports whether a clause says something of an operation beside a verb.
func (c *chooser) said(cl *clause, o *operation) bool {
	text := append(stems(o.ID+" "+o.Summary+" "+sentence(o.Description)), o.path...)
	return slices.ContainsFunc(cl.terms, func(t term) bool { return !t.verb && slices.Contains(text, t.stem) })
}

// properties of a schema, those of its allOf members included.
func (c *chooser) properties(s *openapi.Schema) []openapi.Property {
	return properties(c.doc, s, 0)
}

func properties(d *openapi.Document, s *openapi.Schema, depth int) []openapi.Property {
	s = d.Resolve(s)
	if s == nil || depth > 8 {
		return nil
	}
	list := s.Properties
	for _, part := range s.AllOf {
		for _, p := range properties(d, part, depth+1) {
			if !slices.ContainsFunc(list, func(o openapi.Property) bool { return o.Name == p.Name }) {
				list = append(list[:len(list):len(list)], p)
			}
		}
	}
	return list
}

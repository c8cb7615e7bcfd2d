package draft

import (
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
	beside bool    // nobody asked for it, another one needs it
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
		p.beside = false
		return p
	}
	p := &pick{op: o, clause: cl, why: []string{why}}
	c.byOp[o] = p
	c.picks = append(c.picks, p)
	return p
}

// beside takes an operation that another one needs.
func (c *chooser) beside(cl *clause, o *operation, why string) {
	known, taken := c.byOp[o]
	asked := taken && !known.beside
	c.take(cl, o, why).beside = !asked
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
	targets := c.targets(cl, scores)
	plain := scores
	sure := len(targets) > 0 && !targets[0].lay && cl.understood(c.index)
	if !sure { // what the words hint at competes with what they say
		cl.associate(c.index)
		scores = cl.rank(c.index)
	}
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
	if o := c.direct(cl, scores); o != nil && len(cl.verbs) == 1 {
		t := target{group: o.group, ops: c.index.groups[o.group]}
		c.take(cl, o, c.reason(cl, o))
		c.company(cl, t, o, scores)
		c.last = []target{t}
		return
	}
	if len(targets) == 0 && cl.again {
		targets = c.last
	}
	touched := false
	if len(targets) > 0 {
		c.last = targets
		touched = c.serve(cl, targets, scores)
	}
	if touched && len(targets) > 0 && !targets[0].lay { // hints don't outdo what was said
		scores = plain
	}
	c.leader(cl, scores, touched, sure)
	if len(c.picks) == before && !touched {
		c.missed = append(c.missed, cl.text)
	}
}

// understood reports whether a clause speaks the document's language: no thing
// that it says is unknown there.
func (c *clause) understood(x *index) bool {
	return !slices.ContainsFunc(c.terms, func(t term) bool {
		return t.sense == 0 && !t.verb && t.weight >= saidOther && !x.titled[t.stem]
	})
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
		if other.aside {
			continue
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
				c.beside(cl, reader, fmt.Sprintf("reads back what %s writes", o.Call()))
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
			c.beside(cl, maker, fmt.Sprintf("makes the parts of what %s creates: it takes %q", o.Call(), c.accepts(maker, t.ops[0].noun)))
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
// nothing, where they were called by other names than their own, or where it is
// far ahead of what they gave.
func (c *chooser) leader(cl *clause, scores []float64, touched, sure bool) {
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
	ahead := 1.0
	if sure {
		ahead = farAhead
	}
	o := c.index.ops[top]
	if _, taken := c.byOp[o]; taken || !c.said(cl, o) || touched && (best <= ahead*reached || cl.asks(kindFollow)) {
		return
	}
	c.take(cl, o, c.reason(cl, o))
	c.company(cl, target{ops: c.index.groups[o.group]}, o, scores)
	if cl.asks(kindFollow) {
		c.follow = append(c.follow, o)
	}
}

// farAhead is how many times better than what its own resource gave an operation
// has to rank to be taken.
const farAhead = 1.2

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

package draft

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
)

// eventPick is an event type that goes into the plan.
type eventPick struct {
	kind  string // the event type
	why   string
	op    *operation // of the resource that it is about; nil when unknown
	value float64
}

const maxEvents = 8 // of one resource that is followed; more is everything

// events picks the event types of the resources whose state is to be followed,
// and those that an occasion names ("when an invoice is paid").
func (c *chooser) events(explicit []string) []eventPick {
	var out []eventPick
	add := func(e eventPick) {
		if !slices.ContainsFunc(out, func(o eventPick) bool { return o.kind == e.kind }) {
			out = append(out, e)
		}
	}
	for _, kind := range explicit {
		head, _ := eventParts(kind)
		add(eventPick{kind: kind, why: explicitWhy, op: c.resourceOf(head)})
	}
	for _, o := range c.follow {
		for _, e := range c.eventsOf(o) {
			add(e)
		}
	}
	for i := range c.clauses {
		cl := &c.clauses[i]
		switch {
		case cl.occasion:
			for _, e := range c.occasions(cl) {
				add(e)
			}
		case cl.asks(kindFollow) && len(out) == 0:
			for _, e := range c.named(cl) {
				add(e)
			}
		}
	}
	return out
}

// named are the event types that a clause says in as many words ("watch pull
// requests"), where the resource goes by another name: pulls.
func (c *chooser) named(cl *clause) (out []eventPick) {
	longest := 0
	for _, kind := range c.doc.EventTypes {
		head, tail := eventParts(kind)
		if len(tail) > 0 || len(head) < longest || len(head) == 0 {
			continue
		}
		if slices.ContainsFunc(head, func(s string) bool { t, ok := cl.has(s); return !ok || t.weight < 1 && !t.verb }) {
			continue
		}
		if len(head) > longest {
			longest, out = len(head), nil
		}
		out = append(out, eventPick{kind: kind, why: "“" + cl.text + "”", op: c.resourceOf(head)})
	}
	return out[:min(len(out), maxEvents)]
}

// eventParts are the stems of what an event is about, and of what happened:
// invoice.payment_failed is about an invoice.
func eventParts(kind string) (head, tail []string) {
	at := strings.LastIndexByte(kind, '.')
	if at < 0 {
		return allStems(kind), nil
	}
	return allStems(kind[:at]), allStems(kind[at+1:])
}

// allStems are stems with nothing left out.
func allStems(text string) (out []string) {
	for _, w := range split(text) {
		out = append(out, stem(w))
	}
	return out
}

// eventsOf picks the events of one resource that tell about its state.
func (c *chooser) eventsOf(o *operation) []eventPick {
	signs := c.signs(o)
	var telling, general []eventPick
	for _, kind := range c.doc.EventTypes {
		head, tail := eventParts(kind)
		if !o.is(head) {
			continue
		}
		e := eventPick{kind: kind, op: o}
		for _, t := range tail {
			if s, ok := signs[t]; ok && s.value > e.value {
				e.value, e.why = s.value, s.why
			}
		}
		if e.value > 0 {
			telling = append(telling, e)
			continue
		}
		e.why = "tells about every " + strings.ReplaceAll(singular(o.noun), "_", " ")
		if len(tail) == 0 || len(tail) == 1 && lifecycle[tail[0]] {
			general = append(general, e)
		}
	}
	if len(telling) < 2 {
		telling = append(telling, general...)
	}
	slices.SortStableFunc(telling, func(a, b eventPick) int { return cmp.Compare(b.value, a.value) })
	return telling[:min(len(telling), maxEvents)]
}

// is reports whether stems name the resource of an operation: by its own name, or
// as the part of another: issue_comment is what stands at issues/{id}/comments.
func (o *operation) is(name []string) bool {
	if slices.Equal(name, allStems(singular(o.noun))) || slices.Equal(name, allStems(o.noun)) {
		return true
	}
	n := len(name)
	return n > len(o.nouns) && n <= len(o.path) && slices.Equal(name, o.path[len(o.path)-n:])
}

var lifecycle = stemSet("created updated deleted changed removed added")

type sign struct {
	value float64
	why   string
}

// signs are the words that tell a change of a resource's state, with the reason
// why: values of its status, times it keeps of what happened, the actions that
// were picked, the words of the need, and failure where money or a message
// moves.
func (c *chooser) signs(o *operation) map[string]sign {
	out := map[string]sign{}
	put := func(word string, value float64, why string, args ...any) {
		if old, ok := out[word]; !ok || value > old.value {
			out[word] = sign{value, fmt.Sprintf(why, args...)}
		}
	}
	_, schema := c.resource(o)
	for _, p := range c.properties(schema) {
		s := c.doc.Resolve(p.Schema)
		if isStatus(p.Name) {
			for _, v := range s.Enum {
				for _, w := range stems(v) {
					put(w, 3, "%q is a value of its %s", v, p.Name)
				}
			}
		}
		for _, inner := range append(properties(c.doc, s, 0), p) {
			if at, ok := strings.CutSuffix(inner.Name, "_at"); ok {
				words := stems(at)
				for _, w := range words {
					put(w, 2+0.1/float64(len(words)), "it keeps the time of it in %s", inner.Name)
				}
			}
		}
	}
	moving := false
	for _, p := range c.picks {
		if p.op.group != o.group {
			continue
		}
		if p.op.act != "" && p.op.kind == kindAction {
			put(p.op.act, 2, "%s leads to it", p.op.Call())
		}
		moving = moving || moves[p.op.act] || sends(p.op)
	}
	for i := range c.clauses {
		for _, t := range c.clauses[i].terms {
			if !t.verb && t.weight == 1 && !slices.Contains(o.nouns, t.stem) {
				put(t.stem, 3, "the need says “%s”", t.word)
			}
		}
	}
	if moving {
		put(stem("failed"), 2.5, "what is sent or paid may fail later")
	}
	delete(out, stem("created"))
	delete(out, stem("updated"))
	return out
}

func isStatus(name string) bool {
	n := snake(name)
	return n == "status" || n == "state" || strings.HasSuffix(n, "_status") || strings.HasSuffix(n, "_state")
}

// occasions are the event types that a clause behind "when" describes: what
// they are about and what happened are both said.
func (c *chooser) occasions(cl *clause) (out []eventPick) {
	for _, kind := range c.doc.EventTypes {
		head, tail := eventParts(kind)
		if len(tail) == 0 {
			continue
		}
		said := func(s string) bool { t, ok := cl.has(s); return ok && t.weight == 1 }
		if !slices.ContainsFunc(head, func(s string) bool { return !said(s) }) && slices.ContainsFunc(tail, said) {
			out = append(out, eventPick{kind: kind, why: "“" + cl.text + "”", op: c.resourceOf(head)})
		}
	}
	return out[:min(len(out), maxEvents)]
}

// resourceOf finds an operation of the resource that an event is about.
func (c *chooser) resourceOf(head []string) *operation {
	var best *operation
	for _, o := range c.index.ops {
		if !slices.Equal(head, allStems(singular(o.noun))) || o.kind != kindRead && o.kind != kindList {
			continue
		}
		if best == nil || o.kind == kindRead && best.kind != kindRead || o.kind == best.kind && len(o.Path) < len(best.Path) {
			best = o
		}
	}
	return best
}

// resource is the schema of what an operation's group holds, with its name in
// the document: the answer of its reader, else of another operation.
func (c *chooser) resource(o *operation) (name string, s *openapi.Schema) {
	if o == nil {
		return "", nil
	}
	for _, k := range []kind{kindRead, kindCreate, kindUpdate, kindList} {
		for _, other := range c.index.groups[o.group] {
			if other.kind != k || other.act != "" {
				continue
			}
			if name, s := answer(c.doc, other); s != nil && len(properties(c.doc, s, 0)) > 0 {
				return name, s
			}
		}
	}
	return answer(c.doc, o)
}

// answer is the schema of an operation's success, with its name when it is a
// component. Of a list it is what the list holds; of alternatives the first
// that is not about something deleted.
func answer(d *openapi.Document, o *operation) (name string, s *openapi.Schema) {
	for _, status := range []string{"200", "201", "202", "2XX", "default"} {
		body := o.Responses[status]
		if body == nil || body.Schema == nil {
			continue
		}
		if status == "default" && len(o.Responses) > 1 {
			continue
		}
		return element(d, body.Schema, o.kind == kindList)
	}
	return "", nil
}

func element(d *openapi.Document, s *openapi.Schema, list bool) (string, *openapi.Schema) {
	name := s.Ref
	s = d.Resolve(s)
	if len(s.AnyOf) > 0 && len(s.Properties) == 0 {
		for _, a := range s.AnyOf {
			if !strings.Contains(a.Ref, "deleted") {
				name, s = a.Ref, d.Resolve(a)
				break
			}
		}
	}
	if list {
		if s.Items != nil {
			return element(d, s.Items, false)
		}
		for _, p := range properties(d, s, 0) {
			if inner := d.Resolve(p.Schema); inner.Items != nil && len(properties(d, inner.Items, 0)) > 0 {
				return element(d, inner.Items, false)
			}
		}
	}
	if strings.HasPrefix(name, "#") {
		name = ""
	}
	return name, s
}

// eventList finds the operation that lists past events: the profile's words
// name it, or what it lists has the id, the type and the data of a webhook.
func (c *chooser) eventList(replay string, paths ...string) *operation {
	var best *operation
	for _, o := range c.index.ops {
		if o.kind != kindList || o.Method != http.MethodGet || strings.Contains(o.Path, "{") {
			continue
		}
		named := strings.Contains(replay+" ", "GET "+o.Path+" ")
		if !named && !c.listsEvents(o, paths) {
			continue
		}
		if best == nil || len(o.Path) < len(best.Path) {
			best = o
		}
	}
	return best
}

func (c *chooser) listsEvents(o *operation, paths []string) bool {
	if !slices.Contains(stems(lastSegment(o.Path)), "event") || len(paths) == 0 {
		return false
	}
	_, s := answer(c.doc, o)
	for _, path := range paths {
		at := s
		for step := range strings.SplitSeq(path, ".") {
			if at = c.doc.Resolve(at); at == nil {
				return false
			}
			i := slices.IndexFunc(properties(c.doc, at, 0), func(p openapi.Property) bool { return p.Name == step })
			if i < 0 {
				return false
			}
			at = properties(c.doc, at, 0)[i].Schema
		}
	}
	return true
}

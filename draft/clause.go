package draft

import (
	"cmp"
	"slices"
	"strings"
)

// clause is one part of the need that asks for something.
type clause struct {
	text  string // as written
	terms []term // in order
	verbs []term // the verbs among them
	deeds []verb // what each verb asks for
	kinds []kind // what they ask for, the most wanted first
	acts  map[string]bool
	// occasion: the clause only says when something else is to be done.
	occasion bool
	// again: it speaks of what the clause before named ("its state").
	again bool

	at     int  // words read so far
	of     bool // "of" was read behind the last thing
	behind bool // a preposition was read behind the last verb
}

// clauses cuts a need at punctuation and conjunctions where a new verb begins.
// "Charge customers and clients, and keep the status in step" has two. What
// stands behind "when" or "if" without a verb of its own only says on which
// occasion.
func clauses(need string) []clause {
	var out []clause
	asked := "" // the verb of the last question: "see which we have and what they cost"
	for _, p := range pieces(need) {
		first, _, _ := strings.Cut(p.text, " ")
		if asked != "" && questions[strings.ToLower(first)] {
			p.text = asked + " " + p.text
		}
		c := readClause(p.text)
		if len(c.terms) == 0 {
			continue
		}
		if len(c.verbs) > 0 {
			asked = ""
			if k := c.deeds[0].kinds[0]; len(c.verbs) == 1 && (k == kindRead || k == kindList) {
				asked, _, _ = strings.Cut(c.verbs[0].word, " ")
			}
		}
		if p.context || p.condition && (len(c.verbs) == 0 || !p.imperative()) {
			c.occasion = true
			out = append(out, c)
			continue
		}
		if len(c.verbs) == 0 && len(out) > 0 && !out[len(out)-1].occasion {
			out[len(out)-1] = readClause(out[len(out)-1].text + " and " + p.text)
			continue
		}
		out = append(out, c)
	}
	return out
}

// readClause finds the verbs of a piece: a verb stands first, or behind "to",
// "we", "I" and the like; elsewhere the same word is a noun ("the charge").
// Participles say what has happened ("is paid", "fails") and ask to follow.
// Behind "that", "which" and the like nothing is asked for any more; what is
// said there only tells which thing is meant.
func readClause(text string) (c clause) {
	c = clause{text: text, acts: map[string]bool{}}
	begins, aside := true, false
	text, follow := idioms(text)
	if follow {
		defer func() { c.ask(kindFollow) }()
	}
	words := split(text)
	looking := len(words) > 0 && (words[0] == "let" || words[0] == "help") // "let people pay"
	list := sayingsIn(words)
	for i := 0; i < len(list); i++ {
		if begins && !aside {
			list = apart(list, i)
		}
		w := list[i]
		c.step(w)
		next := list[min(i+1, len(list)-1)]
		if w.word == "" {
			if aside || len(w.deeds) == 0 {
				c.phrase(w, aside)
				continue
			}
			c.verb(w.text, w.deeds, makes(list[i+1:]))
			begins, looking = false, false
			continue
		}
		deeds := c.mayDo(w, begins && i+1 < len(list) && determiners[next.word])
		if follow && len(deeds) > 1 { // "keep it in step" asks for nothing else
			deeds = deeds[:1]
		}
		begins = begins || looking && len(deeds) > 0
		switch {
		case relative[w.word] && len(c.verbs) > 0, w.word == "when", subjects[w.word] && len(c.verbs) > 0 && c.named(): // "the cards we keep"
			begins, looking, aside = false, false, true
			continue
		case determiners[w.word]: // "the refund" is a thing
			begins = false
			continue
		case begins && !aside && len(deeds) > 0:
			c.verb(w.word, deeds, makes(list[i+1:]))
			begins, looking = false, false
			continue
		case opens[w.word] && !aside:
			begins = true
			if !people[w.word] {
				continue
			}
		case happened[w.word] && !aside:
			c.ask(kindFollow)
		}
		if stop[w.word] || len(w.word) < 2 {
			continue
		}
		begins = begins && people[w.word]
		c.thing(w, aside)
	}
	return c
}

// named reports whether a thing was read.
func (c *clause) named() bool {
	return slices.ContainsFunc(c.terms, func(t term) bool { return !t.verb && !t.implied })
}

// relative words begin what only says more about a thing.
var relative = set("that which who whom whose what where how why because since as unless until than whether")

// step notes where in the clause the next word stands.
func (c *clause) step(w said) {
	c.at++
	c.of = c.of || belongs[w.word]
	c.behind = c.behind || prepositions[w.word]
	c.again = c.again || pronouns[w.word]
}

// apart takes a saying about a thing apart that begins with a verb of APIs where
// a verb stands: who deletes files does not speak of deleted files.
func apart(list []said, i int) []said {
	words := split(list[i].text)
	if list[i].word != "" || len(list[i].deeds) > 0 || len(words) == 0 || verbs[stem(words[0])].kinds == nil {
		return list
	}
	var out []said
	for _, w := range words {
		out = append(out, single(w, stem(w)))
	}
	return slices.Concat(list[:i], out, list[i+1:])
}

// questions are words that begin what somebody wants to know.
var questions = set("what who whom which how where whether whose when")

// makes reports whether what follows a verb is a thing of a new kind: "a note",
// "a new member", "another line".
func makes(list []said) bool {
	for i, w := range list[:min(3, len(list))] {
		switch w.word {
		case "another":
			return true
		case "a", "an":
			return i == 0 || i+1 < len(list) && list[i+1].word == "new"
		}
	}
	return false
}

// mayDo gives the verbs that a word may mean where a verb stands: those of the
// word itself, of the trade, or, in front of an article, of everyday English.
func (c *clause) mayDo(w said, clear bool) (out []deed) {
	if _, known := verbs[w.stem]; known {
		out = append(out, deed{verb: w.word})
	}
	out = append(out, deedsOf(w.stem)...)
	if len(out) > 0 || !clear || stop[w.word] || opens[w.word] {
		return out
	}
	far := wordnet().deeds[w.stem]
	if _, known := verbs[stem(far)]; known {
		return []deed{{verb: far}}
	}
	return deedsOf(stem(far)) // a word of the trade
}

// determiners stand before a thing, never before a verb.
var determiners = set("a an the our your their his her its my this that these those every each any some which what whose")

// belongs are words between a part and its whole: items of an invoice.
var belongs = set("of on in from")

// prepositions stand before what something is done to, in or for, seldom before
// what is done itself. "With" stands before a part of that.
var prepositions = set("of on in from to for at by about under into onto over behind through below above against towards")

// people open a clause and are things as well.
var people = set("people users")

// verb adds what is to be done, and what it is done with where the verb says
// so: who mails sends an email. new says that a thing is made by it, if the
// verb may mean that at all.
func (c *clause) verb(text string, deeds []deed, new bool) {
	var words []string
	var objects [][]string
	for _, d := range deeds {
		words = append(words, d.verb)
		objects = append(objects, d.means...)
	}
	v := either(words)
	if i := slices.Index(v.kinds, kindCreate); new && i > 0 && v.kinds[0] != kindDelete && (v.kinds[0] != kindUpdate || len(v.names) > 1) {
		v.kinds = slices.Insert(slices.Delete(slices.Clone(v.kinds), i, i+1), 0, kindCreate)
	}
	c.behind = false
	t := term{stem: v.names[0], word: text, weight: 0.5, verb: true, at: c.at}
	c.verbs = append(c.verbs, t)
	c.terms = append(c.terms, t)
	c.want(v)
	c.senses(text, objects, true)
}

// thing adds a word with all that it may mean.
func (c *clause) thing(w said, aside bool) {
	from := len(c.terms)
	c.terms = append(c.terms, term{stem: w.stem, word: w.word, weight: 1, at: c.at, of: c.of})
	if filler[w.word] {
		c.terms[from].weight, c.terms[from].aside = saidAside, true
		c.of = false
		return
	}
	means := thingsOf(w.stem)
	if len(means) == 0 {
		for _, k := range kinStems[w.stem] {
			means = append(means, []string{k})
		}
	}
	far := len(means) == 0
	if far {
		for _, m := range wordnet().things[w.stem] {
			means = append(means, append(thingsOf(m), []string{m})...)
		}
	}
	c.senses(w.word, means, false)
	for i := range c.terms[from:] {
		c.terms[from+i].far = far && i > 0
		c.terms[from+i].aside, c.terms[from+i].behind = aside, c.behind
	}
}

// filler are words for how many, when and how, which name nothing by
// themselves.
var filler = set(`one two three four five six seven eight nine ten twelve twenty thirty forty fifty hundred thousand dozen several few many much more most
	today tomorrow yesterday tonight now later lately soon again yet still already ever never always often once twice first second last next latest
	monday tuesday wednesday thursday friday saturday sunday morning evening night noon hour minute day week month year weekend spring summer autumn winter
	hours minutes days weeks months years small big large little long short good bad nice old important own whole such other others something anything everything
	nothing thing things stuff way ways else back away together altogether there here too very really simply quickly easily beforehand afterwards meanwhile
	everybody everyone nobody somebody someone anybody anyone right wrong`)

// phrase adds several words that mean one thing together, or that would mean a
// deed in another place.
func (c *clause) phrase(w said, aside bool) {
	from := len(c.terms)
	for _, word := range split(w.text) {
		if !stop[word] && len(word) > 1 {
			c.terms = append(c.terms, term{stem: stem(word), word: w.text, weight: partOfSaying, at: c.at, of: c.of})
		}
	}
	c.senses(w.text, w.means, false)
	for i := range c.terms[from:] {
		c.terms[from+i].aside, c.terms[from+i].behind = aside, c.behind
	}
}

// What a word is worth that was not said itself: part of a saying, and a
// meaning before the document has told which meaning it knows.
const (
	partOfSaying = 0.6
	maybeMeant   = 0.4
	saidAside    = 0.3 // when and how often, seldom what
)

func (c *clause) senses(text string, means [][]string, implied bool) {
	for i, m := range means {
		for _, s := range m {
			c.terms = append(c.terms, term{stem: s, word: text, weight: maybeMeant, sense: i + 1, implied: implied, at: c.at, of: c.of})
		}
	}
	c.of = false
}

// subjects do something, nobody asks for it.
var subjects = set("we i you they he she it somebody someone")

// opens are words that a verb follows.
var opens = set("to or we i you they users people automatically please should must can let us will also then be able want wants need needs able never always immediately")

var pronouns = set("it its them they their one ones")

// happened are words for what has happened.
var happened = set("fail fails failed succeeded succeeds bounce bounces bounced delivered paid expires expired arrives arrived changes changed happens completed opened clicked complained closed merged shipped")

func (c *clause) want(v verb) {
	for _, k := range v.kinds {
		c.ask(k)
	}
	c.deeds = append(c.deeds, v)
	for _, s := range v.names {
		c.acts[s] = true
	}
	for _, a := range v.acts {
		c.acts[stem(a)] = true
	}
}

func (c *clause) ask(k kind) {
	if !slices.Contains(c.kinds, k) {
		c.kinds = append(c.kinds, k)
	}
}

func (c *clause) asks(k kind) bool { return slices.Contains(c.kinds, k) }

// has reports whether the clause says a word, or one that means nearly the same.
func (c *clause) has(s string) (term, bool) {
	var near term
	for _, t := range c.terms {
		if t.stem != s {
			continue
		}
		if t.weight == 1 {
			return t, true
		}
		if near.stem == "" || t.weight > near.weight {
			near = t
		}
	}
	return near, near.stem != ""
}

// fit is how well the kind of an operation suits what the clause asks for.
func (c *clause) fit(o *operation) float64 {
	if len(c.kinds) == 0 {
		return 1
	}
	if o.act != "" && c.acts[o.act] {
		return 1.8
	}
	at := slices.Index(c.kinds, o.kind)
	switch {
	case o.kind == kindAction && at >= 0:
		return 0.8 // an action, but another one
	case at == 0:
		return 1.7
	case at > 0:
		return 1.4
	case c.kinds[0] == kindFollow && (o.kind == kindRead || o.kind == kindList):
		return 1.2
	case o.kind == kindDelete, o.kind == kindAction:
		return 0.3
	}
	return 0.6
}

// rank scores every operation for a clause.
func (c *clause) rank(x *index) []float64 {
	scores := x.score(c.terms)
	for i, o := range x.ops {
		if scores[i] == 0 {
			continue
		}
		s := scores[i] * c.fit(o) * (1 + 0.8*c.nounMatch(o)) * (1 + 0.6*c.titleMatch(o))
		s /= 1 + 0.12*float64(max(0, len(o.path)-1)) + 0.06*float64(o.holes)
		if o.old {
			s *= 0.5
		}
		scores[i] = s
	}
	return scores
}

// titleMatch is the share of the words of an operation's summary that the
// clause says; a summary of many words is no title.
func (c *clause) titleMatch(o *operation) float64 {
	const longest = 8
	if len(o.title) == 0 || len(o.title) > longest {
		return 0
	}
	sum := 0.0
	for _, s := range o.title {
		switch t, ok := c.has(s); {
		case ok && t.verb:
			sum++
		case ok:
			sum += t.weight
		case c.acts[s]:
			sum += 0.8
		}
	}
	return sum / float64(len(o.title))
}

// nounMatch is the share of the resource's name that the clause says.
func (c *clause) nounMatch(o *operation) float64 {
	if len(o.nouns) == 0 {
		return 0
	}
	sum := 0.0
	for _, n := range o.nouns {
		if t, ok := c.has(n); ok {
			if t.verb { // "charge" may be meant as the thing, but was said as the deed
				sum += 0.2
				continue
			}
			sum += t.weight
		}
	}
	return sum / float64(len(o.nouns))
}

// likeliest are the terms with the most certain meaning first.
func (c *clause) likeliest() []term {
	out := slices.Clone(c.terms)
	slices.SortStableFunc(out, func(a, b term) int { return cmp.Compare(b.weight, a.weight) })
	return out
}

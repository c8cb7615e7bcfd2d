package draft

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
)

// hint is something that tells of a thing: what people say of it, or how a
// dictionary explains it.
type hint struct {
	means [][]string // names of things as stems, the likeliest first
	tells float64    // what all its words tell together; 0 of a dictionary's text
}

// hints are found by the stems of their words. A need seldom uses the very
// words of a saying, but often some of them: none of them names a thing, several
// together hint at it.
type hints struct {
	list   []hint
	byStem map[string][]int
	tells  map[string]float64 // how much a stem tells: the rarer, the more
}

// allHints are made of the thesaurus and of WordNet.
var allHints = sync.OnceValue(func() *hints {
	h := &hints{byStem: map[string][]int{}, tells: map[string]float64{}}
	said := 0 // hints of the thesaurus come first
	for _, list := range sayings() {
		for _, s := range list {
			if len(s.means) > 0 {
				h.add(s.means, s.words)
			}
		}
	}
	said = len(h.list)
	for _, g := range wordnet().glosses {
		h.add([][]string{g.name}, g.words)
	}
	for s, list := range h.byStem {
		if _, deed := verbs[s]; deed && len(list) > manyHints { // of "send out" the deed alone would be left
			h.byStem[s] = nil
			continue
		}
		h.tells[s] = math.Log(1 + float64(len(h.list))/float64(len(list)))
	}
	for _, s := range slices.Sorted(maps.Keys(h.byStem)) { // in order: sums of fractions depend on it
		for _, i := range h.byStem[s] {
			if i < said {
				h.list[i].tells += h.tells[s]
			}
		}
	}
	return h
})

func (h *hints) add(means [][]string, words []string) {
	found := false
	for i, w := range words {
		if w == gap || silent[w] || slices.Contains(words[:i], w) {
			continue
		}
		h.byStem[w] = append(h.byStem[w], len(h.list))
		found = true
	}
	if found {
		h.list = append(h.list, hint{means: means})
	}
}

// silent are stems that tell nothing about a thing.
var silent = func() map[string]bool {
	m := map[string]bool{}
	for _, words := range []map[string]bool{stop, filler, opens, pronouns, people} {
		for w := range words {
			m[stem(w)] = true
		}
	}
	return m
}()

// How hints are weighed, settled on the development needs.
const (
	maxHinted    = 5    // things that a clause hints at
	maxMeant     = 3    // meanings of a hint that are looked at
	hintWeight   = 0.8  // of a thing that is hinted at with all words
	hintFloor    = 0.25 // share of that below which it is left out
	enoughTold   = 12.0 // about two rare words
	glossShare   = 0.5  // of what a saying tells a dictionary's text tells
	lessLikelier = 0.1  // less for each further meaning of a hint
	manyHints    = 40   // a verb of APIs that stands in more of them hints at nothing
)

// hinted is a thing of the document that a clause hints at.
type hinted struct {
	name  []string
	value float64
	said  string // the words that hint at it
}

// associate adds the things of the document that the words of a clause hint at
// together. What is hinted at ranks operations and names none.
func (c *clause) associate(x *index) {
	list := c.hintsAt(x)
	for _, one := range list[:min(len(list), maxHinted)] {
		for _, s := range one.name {
			if _, said := c.has(s); !said && one.value >= hintFloor {
				c.terms = append(c.terms, term{stem: s, word: one.said, weight: min(hintWeight*one.value, saidOther), sense: 1, at: -1})
			}
		}
	}
}

func (c *clause) hintsAt(x *index) []hinted {
	h := allHints()
	told := map[int]float64{}
	said := map[int]string{}
	seen := map[string]bool{}
	for _, w := range split(c.text) {
		s := stem(w)
		if silent[s] || seen[s] {
			continue
		}
		seen[s] = true
		for _, i := range h.byStem[s] {
			told[i] += h.tells[s]
			said[i] = strings.TrimPrefix(said[i]+" … "+w, " … ")
		}
	}
	best := map[string]hinted{}
	for i, t := range told {
		one := h.list[i]
		share := glossShare
		if one.tells > 0 {
			share = t / one.tells
		}
		for rank, name := range one.means[:min(len(one.means), maxMeant)] {
			value := share * min(1, t/enoughTold) * (1 - lessLikelier*float64(rank))
			key := strings.Join(name, " ")
			better := value > best[key].value || value == best[key].value && said[i] < best[key].said
			if value > 0 && better && x.isNamed(name) {
				best[key] = hinted{name, value, said[i]}
			}
		}
	}
	out := make([]hinted, 0, len(best))
	for _, key := range slices.Sorted(maps.Keys(best)) {
		out = append(out, best[key])
	}
	slices.SortStableFunc(out, func(a, b hinted) int { return cmp.Compare(b.value, a.value) })
	return out
}

package draft

import (
	"slices"
	"strings"
)

// What a word is worth that a document knows under another name. From naming
// on it names a resource, as if it had been said.
const (
	naming     = 0.75
	meantFirst = 0.9  // the likeliest meaning that is a resource of the document
	meantNext  = 0.08 // less for each further one
	meantFaint = 0.35 // a meaning of which the document only speaks
	meantFar   = 0.5  // at most, of a meaning that only the dictionary gives
	saidOther  = 0.6  // a word itself, once the document knows it under another name
)

// adapt weighs what the words of a clause may mean by what the document has:
// of "client", a document with customers makes customers, one with contacts
// contacts. A word that is a resource's name in the document means that.
func (c *clause) adapt(x *index) {
	meant := map[string]bool{} // words that a meaning was found for
	for from := 0; from < len(c.terms); {
		to := from + 1
		for to < len(c.terms) && c.terms[to].word == c.terms[from].word && c.terms[to].implied == c.terms[from].implied {
			to++
		}
		if c.weigh(x, c.terms[from:to]) {
			meant[c.terms[from].word] = true
		}
		from = to
	}
	c.terms = slices.DeleteFunc(c.terms, func(t term) bool { return t.weight == 0 })
	for i := range c.terms {
		if t := &c.terms[i]; t.sense == 0 && !t.verb && meant[t.word] && (!x.nouns[t.stem] || t.weight == naming) {
			t.weight = min(t.weight, saidOther)
		}
	}
}

// weigh the terms of one word.
func (c *clause) weigh(x *index, terms []term) (meant bool) {
	own := false
	for i := range terms {
		if t := &terms[i]; t.sense == 0 && !t.verb && x.nouns[t.stem] {
			own = own || t.weight == 1 && x.exact[t.stem]
			if t.weight == partOfSaying {
				t.weight = naming
			}
		}
	}
	found := 0
	for from := 0; from < len(terms); {
		to := from + 1
		for to < len(terms) && terms[to].sense == terms[from].sense {
			to++
		}
		one := terms[from:to]
		from = to
		if one[0].sense == 0 {
			continue
		}
		weight := 0.0
		switch {
		case one[0].far && x.titled[terms[0].stem]: // the document has the word itself
		case x.hasResource(one) && !own:
			weight = max(meantFirst-meantNext*float64(found), maybeMeant)
			found++
		case !slices.ContainsFunc(one, func(t term) bool { return x.postings[t.stem] == nil }):
			weight = meantFaint
		}
		for i := range one {
			if one[i].far {
				weight = min(weight, meantFar)
			}
			one[i].weight = weight
		}
	}
	return found > 0
}

// hasResource reports whether a resource of the document has all of the words in
// its name.
func (x *index) hasResource(words []term) bool {
	var stems []string
	for _, t := range words {
		stems = append(stems, t.stem)
	}
	return x.isNamed(stems)
}

// isNamed reports whether a resource of the document has all of the stems in
// its name.
func (x *index) isNamed(stems []string) bool {
	if slices.ContainsFunc(stems, func(s string) bool { return !x.nouns[s] }) {
		return false
	}
	if len(stems) == 1 {
		return true
	}
	key := strings.Join(stems, " ")
	named, known := x.named[key]
	if !known {
		for _, ops := range x.groups {
			named = named || !slices.ContainsFunc(stems, func(s string) bool { return !slices.Contains(ops[0].nouns, s) })
		}
		x.named[key] = named
	}
	return named
}

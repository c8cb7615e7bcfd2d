package draft

import (
	"math"
	"slices"

	"github.com/sallyport/sallyport/openapi"
)

// Fields of an operation that are searched, and what a word in each counts.
// The weights and the two constants of BM25F are the usual ones, confirmed on
// the sentences of the tests.
const (
	fieldName    = iota // id and path
	fieldSummary        // summary
	fieldTags           // tags
	fieldText           // the beginning of the description
	fields
)

var weights = [fields]float64{3, 2, 1.5, 1}

const (
	saturation = 1.2 // k1: how soon more of the same word stops to count
	lengthNorm = 0.5 // b: how much a long field is worth less
	textLimit  = 600 // bytes of a description that are searched
)

// posting is one operation that has a word, with the word's weighted count.
type posting struct {
	op    int
	count float64
}

// index ranks the operations of a document against words (Robertson and
// Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009,
// section 3.5).
type index struct {
	ops      []*operation
	groups   map[string][]*operation // by group path, in document order
	postings map[string][]posting
	nouns    map[string]bool // stems of the names of all resources
	titled   map[string]bool // stems of ids, paths and summaries
	exact    map[string]bool // of resources with one word for a name
	named    map[string]bool // names looked for, and whether a resource has all of their stems
}

func newIndex(d *openapi.Document) *index {
	x := &index{groups: map[string][]*operation{}, postings: map[string][]posting{}, named: map[string]bool{}}
	collections := collectionsOf(d.Operations)
	for _, op := range d.Operations {
		o := understand(op, collections)
		x.ops = append(x.ops, o)
		x.groups[o.group] = append(x.groups[o.group], o)
	}
	words := make([][fields][]string, len(x.ops))
	known := map[string]bool{}
	var total [fields]float64
	for i, o := range x.ops {
		words[i] = [fields][]string{append(stems(o.ID), o.path...), stems(o.Summary), nil, stems(first(o.Description, textLimit))}
		for _, tag := range o.Tags {
			words[i][fieldTags] = append(words[i][fieldTags], stems(tag)...)
		}
		for _, list := range words[i] {
			for _, w := range list {
				known[w] = true
			}
		}
	}
	for i, o := range x.ops {
		o.nouns, o.path = parts(o.nouns, known), parts(o.path, known)
		words[i][fieldName] = parts(words[i][fieldName], known)
		for f, list := range words[i] {
			total[f] += float64(len(list))
		}
	}
	x.nouns, x.exact, x.titled = map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, o := range x.ops {
		for _, n := range o.nouns {
			x.nouns[n] = true
			x.exact[n] = x.exact[n] || len(o.nouns) == 1
		}
	}
	for i := range words {
		for _, w := range slices.Concat(words[i][fieldName], words[i][fieldSummary]) {
			x.titled[w] = true
		}
	}
	for i := range x.ops {
		counts := map[string]float64{}
		for f, list := range words[i] {
			if len(list) == 0 {
				continue
			}
			average := total[f] / float64(len(x.ops))
			norm := 1 - lengthNorm + lengthNorm*float64(len(list))/average
			for _, w := range list {
				counts[w] += weights[f] / norm
			}
		}
		for w, c := range counts {
			x.postings[w] = append(x.postings[w], posting{i, c})
		}
	}
	return x
}

// parts takes words apart that are two words of the document written together:
// invoiceitem is invoice and item.
func parts(words []string, known map[string]bool) []string {
	out := words[:0:0]
	for _, w := range words {
		a, b, ok := cut(w, known)
		if ok {
			out = append(out, a, b)
			continue
		}
		out = append(out, w)
	}
	return out
}

func cut(w string, known map[string]bool) (a, b string, ok bool) {
	const short = 4
	for i := len(w) - short; i >= short; i-- {
		a, b = stem(w[:i]), stem(w[i:])
		if known[a] && known[b] && a != w && b != w {
			return a, b, true
		}
	}
	return "", "", false
}

// term is a word that is looked for.
type term struct {
	stem   string
	word   string  // as the sentence has it
	weight float64 // 1; less for a word that only means nearly the same
	verb   bool
	// sense is 0 for a word that was said; else it numbers what the word may
	// mean, from 1. implied: the verb says it (who mails sends an email).
	sense   int
	implied bool
	far     bool // a dictionary of everyday English says it, not one of the trade
	aside   bool // it only says more about a thing: "cards that expire"
	behind  bool // "to", "in" and the like stand between it and the verb
	at      int  // which word of the clause it is
	of      bool // "of" and the like stand between it and the thing before
}

// score ranks every operation; 0 is no match at all.
func (x *index) score(terms []term) []float64 {
	scores := make([]float64, len(x.ops))
	seen := map[string]bool{}
	for _, t := range terms {
		if seen[t.stem] {
			continue
		}
		seen[t.stem] = true
		list := x.postings[t.stem]
		n := float64(len(list))
		idf := math.Log(1 + (float64(len(x.ops))-n+0.5)/(n+0.5))
		for _, p := range list {
			scores[p.op] += t.weight * idf * p.count * (saturation + 1) / (p.count + saturation)
		}
	}
	return scores
}

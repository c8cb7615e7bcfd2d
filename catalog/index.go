package catalog

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Summary is what a list says about a provider.
type Summary struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Category string   `json:"category"`
	Aliases  []string `json:"aliases,omitempty"`
	Text     string   `json:"text,omitempty"`     // what the provider is for
	BaseURL  string   `json:"base_url,omitempty"` // empty: only its webhooks are known
	Auth     []string `json:"auth,omitempty"`     // kinds of credentials, each once, in the profile's order
	Webhooks string   `json:"webhooks,omitempty"` // signature scheme; empty: none are known
	Limits   int      `json:"limits,omitempty"`   // how many limits have a number
	// Confidence of each section that holds something; of several ways to
	// authenticate the one least sure.
	Confidence map[string]Confidence `json:"confidence"`
}

// Of sums up a profile.
func Of(p *Profile) Summary {
	s := Summary{
		ID: p.ID, Name: p.Name, Category: p.Category, Aliases: p.Aliases, Text: p.Text, BaseURL: p.API.BaseURL,
		Limits: len(p.Limits.List), Confidence: map[string]Confidence{},
	}
	for i := range p.Auth {
		if !slices.Contains(s.Auth, p.Auth[i].Kind) {
			s.Auth = append(s.Auth, p.Auth[i].Kind)
		}
	}
	if p.Webhooks != nil {
		s.Webhooks = p.Webhooks.Verify.Scheme
	}
	for _, section := range p.Sections() {
		c := section.Provenance.Confidence
		if section.Empty() || c == "" {
			continue
		}
		if before, ok := s.Confidence[section.Name]; !ok || surer(before, c) {
			s.Confidence[section.Name] = c
		}
	}
	return s
}

// surer reports whether a is better known than b.
func surer(a, b Confidence) bool {
	return slices.Index(confidences, string(a)) < slices.Index(confidences, string(b))
}

// index.json is made from the profiles: go test ./catalog -run TestIndex -update
//
//go:embed index.json
var indexFile []byte

var index = sync.OnceValue(func() []Summary {
	var list []Summary
	if err := json.Unmarshal(indexFile, &list); err != nil {
		return nil // a test reads it: it can't fail
	}
	return list
})

// Index lists every embedded profile, sorted by id, without reading any. The
// slice is the caller's; what its elements point to is not to be changed.
func Index() []Summary { return slices.Clone(index()) }

// Hit is a provider that a search found.
type Hit struct {
	Summary
	Score int // 1 to 100, higher is nearer

	near bool // its name or an alias is meant, not only what it is about
}

// Search finds providers by id, alias, name, category and what they are for, the
// nearest first. A word with a slip in it is found by names. Every word of the
// text must be found.
func Search(text string) []Hit { return SearchAmong(index(), text) }

// SearchAmong is Search in a list of one's own.
func SearchAmong(among []Summary, text string) []Hit {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
	if len(words) == 0 || len(text) > 200 {
		return nil
	}
	hits := searchAll(among, words, len(words))
	if len(hits) == 0 && len(words) > 1 { // not all of them anywhere: whoever has some, "send sms"
		hits = searchAll(among, words, 1)
	}
	slices.SortStableFunc(hits, func(a, b Hit) int { return b.Score - a.Score })
	return hits
}

// searchAll finds who fits at least so many of the words.
func searchAll(among []Summary, words []string, least int) (hits []Hit) {
	for i := range among {
		total, fit, near := 0, 0, false
		for _, word := range words {
			score, byName := match(&among[i], word)
			if score > 0 && (least == len(words) || score > 70 && !byName) { // alone, a word has to be what the provider is for

				total, fit, near = total+score, fit+1, near || byName
			}
		}
		if fit >= least {
			hits = append(hits, Hit{Summary: among[i], Score: total / len(words), near: near})
		}
	}
	return hits
}

// match says how well one word fits a provider: 0 not at all.
func match(s *Summary, word string) (score int, byName bool) {
	candidates := append([]string{s.ID}, s.Aliases...)
	candidates = append(candidates, strings.Fields(strings.ToLower(s.Name))...)
	for i, name := range candidates {
		own := 0
		if i == 0 {
			own = 2 // the id itself before a further name
		}
		switch slip := slips(word, name); {
		case name == word:
			score = max(score, 98+own)
		case strings.HasPrefix(name, word):
			score = max(score, 86+own)
		case slip > 0:
			score = max(score, 82+own-7*slip)
		case len(word) > 2 && strings.Contains(name, word):
			score = max(score, 60+own)
		}
	}
	if score > 0 {
		return score, true
	}
	if s.Category == word || slices.Contains(strings.FieldsFunc(strings.ToLower(s.Text), notLetter), word) {
		return 71, false
	}
	if len(word) > 2 && strings.Contains(strings.ToLower(s.Text)+" "+s.Category, word) {
		return 40, false
	}
	return 0, false
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// slips is how many letters have to be changed, added, left out or swapped with
// their neighbour to come from one word to the other; 0 when that are too many
// for a slip.
func slips(word, name string) int {
	if len(word) < 3 || len(word) > 64 || len(name) > 64 {
		return 0
	}
	d := edits(word, name)
	if d > max(1, len(name)/3) || d >= len(word) {
		return 0
	}
	return d
}

// edits is the distance of two short words by Damerau and Levenshtein, in which
// a swap of neighbours counts once.
func edits(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}

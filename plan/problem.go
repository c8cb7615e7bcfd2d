package plan

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Rule names what a problem breaks. Rules are stable: programs may switch on
// them.
type Rule string

// The rules there are.
const (
	RuleSyntax       Rule = "syntax"        // the file is no readable YAML, or uses a part of YAML that plans don't
	RuleUnknownKey   Rule = "unknown-key"   // no such key
	RuleDuplicateKey Rule = "duplicate-key" // a key stands twice
	RuleRequired     Rule = "required"      // a key or value is missing
	RuleType         Rule = "type"          // text where a list belongs, and the like
	RuleValue        Rule = "value"         // not one of the allowed values, or not of the allowed form
	RuleReference    Rule = "reference"     // names something that isn't there
	RuleConflict     Rule = "conflict"      // two statements that can't both hold
)

// Problem is one mistake in a plan file. It never contains the value of a
// secret, not even where one was written by mistake.
type Problem struct {
	Position Position
	Path     string // endpoints.create_customer.effect; empty for the file as a whole
	Rule     Rule
	Message  string // what is wrong
	Hint     string // the way out; may be empty
}

// String is "path: message; hint".
func (p Problem) String() string {
	s := p.Message
	if p.Path != "" {
		s = p.Path + ": " + s
	}
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// Errors is everything that is wrong with one plan file, by place.
type Errors struct {
	File string // as given to Load or Parse
	List []Problem
}

// Error prints one line a problem:
//
//	stripe.yaml:12:5: endpoints.create_customer.efect: unknown key; did you mean "effect"?
func (e *Errors) Error() string {
	var b strings.Builder
	name := filepath.Base(e.File)
	for i, p := range e.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s", name, p.Position.Line, p.Position.Column, p)
	}
	return b.String()
}

// sort orders the problems by place and drops repeats.
func (e *Errors) sort() {
	slices.SortStableFunc(e.List, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Position.Line, b.Position.Line),
			cmp.Compare(a.Position.Column, b.Position.Column),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Message, b.Message),
		)
	})
	e.List = slices.Compact(e.List)
}

// Position returns where path stands in the file: the place of the key, or of
// the element of a list ("mappings.customer[0]"). A path the file does not have
// gives the place of the nearest part it has. The zero Position means that the
// plan was not read from a file.
func (p *Plan) Position(path string) Position {
	for path != "" {
		if at, ok := p.positions[path]; ok {
			return at
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			break
		}
		path = path[:i]
	}
	return p.positions[""]
}

// longestWord bounds what is quoted from a file in a message and what is
// compared to find a suggestion.
const longestWord = 60

// quote shows a word of the file in a message, shortened.
func quote(s string) string {
	if utf8.RuneCountInString(s) > longestWord {
		s = string([]rune(s)[:longestWord]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// didYouMean suggests the nearest of the known words, or lists them when they
// are few, or says nothing.
func didYouMean(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 || len(known) > 24 {
		return ""
	}
	return "there is " + strings.Join(known, ", ")
}

// nearest returns the known word with the smallest edit distance when it is
// near enough to be a slip: a third of the letters, at least one.
func nearest(word string, known []string) string {
	if utf8.RuneCountInString(word) > longestWord {
		return ""
	}
	best, bestDistance := "", max(1, utf8.RuneCountInString(word)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}

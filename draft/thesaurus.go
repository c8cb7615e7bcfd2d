package draft

import (
	_ "embed" // the thesaurus
	"slices"
	"strings"
	"sync"
)

// The words of a trade and what APIs call them. The file says how it is read.
//
//go:embed thesaurus.txt
var thesaurusText string

// saying is something that people say, with what an API calls it.
type saying struct {
	words []string   // stems; "*" stands for up to maxGap words
	deed  string     // the verb it means; empty for a thing
	means [][]string // what it means: names of things as stems, the likeliest first
}

const (
	gap    = "*"
	maxGap = 4
)

// sayings by the first stem, the longest first.
var sayings = sync.OnceValue(func() map[string][]saying { return readThesaurus(thesaurusText) })

func readThesaurus(text string) map[string][]saying {
	out := map[string][]saying{}
	deeds := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			continue
		case line[0] == '[':
			deeds = line == "[deeds]"
			continue
		}
		left, right, _ := strings.Cut(line, "=")
		one := saying{}
		for meaning := range strings.SplitSeq(left, ",") {
			words := split(meaning)
			if deeds && len(words) > 0 {
				if one.deed == "" {
					one.deed = words[0]
				}
				words = words[1:]
			}
			if len(words) > 0 {
				one.means = append(one.means, stemAll(words))
			}
		}
		for phrase := range strings.SplitSeq(right, ",") {
			one.words = phraseStems(phrase)
			if len(one.words) > 0 {
				out[one.words[0]] = append(out[one.words[0]], one)
			}
		}
	}
	for first := range out {
		slices.SortStableFunc(out[first], func(a, b saying) int { return len(b.words) - len(a.words) })
	}
	return out
}

func phraseStems(phrase string) (out []string) {
	for w := range strings.FieldsSeq(phrase) {
		if w == gap {
			out = append(out, gap)
			continue
		}
		out = append(out, stemAll(split(w))...)
	}
	return out
}

func stemAll(words []string) (out []string) {
	for _, w := range words {
		out = append(out, stem(w))
	}
	return out
}

// match reports how many of the words a saying takes, and which of them fill
// its gap; n is 0 where it does not fit.
func (s *saying) match(words []string) (n int, filled [2]int) {
	at := strings.Index(strings.Join(s.words, " "), gap)
	if at < 0 {
		if len(words) < len(s.words) || !slices.Equal(words[:len(s.words)], s.words) {
			return 0, filled
		}
		return len(s.words), filled
	}
	before := slices.Index(s.words, gap)
	head, tail := s.words[:before], s.words[before+1:]
	if len(words) < len(head) || !slices.Equal(words[:len(head)], head) {
		return 0, filled
	}
	for skip := 1; skip <= maxGap; skip++ {
		from := before + skip
		if from+len(tail) > len(words) {
			return 0, filled
		}
		if slices.Equal(words[from:from+len(tail)], tail) {
			return from + len(tail), [2]int{before, from}
		}
	}
	return 0, filled
}

// said is one word of a need, or several that mean one thing together.
type said struct {
	text  string // as said
	stem  string // of a single word
	word  string // a single word in lower case
	deed  string // the verb that is meant
	means [][]string
}

// understand what the words of a piece mean: sayings become one, and what
// stands in their gaps follows them.
func sayingsIn(words []string) (out []said) {
	list := stemAll(words)
	for i := 0; i < len(words); {
		n, one, rest := longest(list[i:], words[i:])
		if n == 0 {
			out = append(out, single(words[i], list[i]))
			i++
			continue
		}
		out = append(out, one)
		out = append(out, sayingsIn(rest)...)
		i += n
	}
	return out
}

// longest finds the saying of two words or more that takes the most of them.
func longest(list, words []string) (n int, one said, rest []string) {
	for _, s := range sayings()[list[0]] {
		if len(s.words) < 2 {
			continue
		}
		took, filled := s.match(list)
		if took == 0 {
			continue
		}
		if n == 0 || len(s.words) > n {
			text := strings.Join(words[:took], " ")
			if filled[1] > 0 {
				text = strings.Join(words[:filled[0]], " ") + " … " + strings.Join(words[filled[1]:took], " ")
			}
			if n == 0 {
				n, one, rest = took, said{text: text, deed: s.deed, means: s.means}, words[filled[0]:filled[1]]
				continue
			}
		}
		if took == n && one.deed == "" && s.deed != "" { // the same words are a deed as well
			one.deed = s.deed
		}
	}
	return n, one, rest
}

// single word with all that it may mean.
func single(word, stem string) said {
	return said{text: word, word: word, stem: stem}
}

// thingsOf are the meanings of a single word as a thing, deedOf what it means
// where a verb stands.
func thingsOf(stem string) (means [][]string) {
	for _, s := range sayings()[stem] {
		if len(s.words) == 1 && s.deed == "" {
			for _, m := range s.means {
				if !slices.ContainsFunc(means, func(o []string) bool { return slices.Equal(o, m) }) {
					means = append(means, m)
				}
			}
		}
	}
	return means
}

func deedOf(stem string) (deed string, objects [][]string) {
	for _, s := range sayings()[stem] {
		if len(s.words) == 1 && s.deed != "" {
			if deed == "" {
				deed = s.deed
			}
			objects = append(objects, s.means...)
		}
	}
	return deed, objects
}

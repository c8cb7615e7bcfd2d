package draft

import (
	"embed"
	"slices"
	"strings"
	"sync"
)

// The words of a trade and what APIs call them, a file for each field of work.
// general.txt says how they are read.
//
//go:embed thesaurus/*.txt
var thesaurus embed.FS

// thesaurusTexts are the files of the thesaurus, the general one first: of the
// meanings of a word those that are said first count the most.
func thesaurusTexts() []string {
	const general = "general.txt"
	list, _ := thesaurus.ReadDir("thesaurus") // it is compiled in, and a test reads it
	texts := make([]string, 1, len(list))
	for _, f := range list {
		text, _ := thesaurus.ReadFile("thesaurus/" + f.Name())
		if f.Name() == general {
			texts[0] = string(text)
			continue
		}
		texts = append(texts, string(text))
	}
	return texts
}

// saying is something that people say, with what an API calls it.
type saying struct {
	words []string   // stems, without articles; "*" stands for up to maxGap words
	deeds []deed     // the verbs it may mean; none for a thing
	means [][]string // what it means: names of things as stems, the likeliest first
}

// deed is a verb of APIs that something said may mean, with the things that it
// is done with where they go without saying: who mails sends an email.
type deed struct {
	verb  string
	means [][]string
}

const (
	gap    = "*"
	maxGap = 4
)

// sayings by the first stem, the longest first.
var sayings = sync.OnceValue(func() map[string][]saying { return readThesaurus(thesaurusTexts()...) })

func readThesaurus(texts ...string) map[string][]saying {
	out := map[string][]saying{}
	for _, text := range texts {
		readSayings(text, out)
	}
	for first := range out {
		slices.SortStableFunc(out[first], func(a, b saying) int { return len(b.words) - len(a.words) })
	}
	return out
}

func readSayings(text string, out map[string][]saying) {
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
				one.may(words[0], stemAll(words[1:]))
				continue
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
}

// may adds a verb that a saying may mean, and what it is done with.
func (s *saying) may(verb string, object []string) {
	i := slices.IndexFunc(s.deeds, func(d deed) bool { return d.verb == verb })
	if i < 0 {
		i = len(s.deeds)
		s.deeds = append(s.deeds, deed{verb: verb})
	}
	if len(object) > 0 {
		s.deeds[i].means = append(s.deeds[i].means, object)
	}
}

func phraseStems(phrase string) (out []string) {
	for w := range strings.FieldsSeq(phrase) {
		if w == gap {
			out = append(out, gap)
			continue
		}
		for _, part := range split(w) {
			if len(out) == 0 || !articles[part] {
				out = append(out, stem(part))
			}
		}
	}
	return out
}

func stemAll(words []string) (out []string) {
	for _, w := range words {
		out = append(out, stem(w))
	}
	return out
}

// articles may stand between the words of a saying, and don't count in a gap.
var articles = set("a an the our your their his her its my this that these those some any all each every")

// match reports how many of the words a saying takes, and which of them fill
// its gap; n is 0 where it does not fit. A gap may be empty: "pay * back".
func (s *saying) match(list, words []string) (n int, filled [2]int) {
	before := slices.Index(s.words, gap)
	if before < 0 {
		return follows(s.words, list, words, 0), filled
	}
	head, tail := s.words[:before], s.words[before+1:]
	from := follows(head, list, words, 0)
	if from == 0 {
		return 0, filled
	}
	counted := 0
	for to := from; to < len(words) && counted <= maxGap; to++ {
		if end := follows(tail, list, words, to); end > 0 && (to == from || !articles[words[to-1]]) {
			return end, [2]int{from, to}
		}
		if relative[words[to]] {
			break
		}
		if !articles[words[to]] {
			counted++
		}
	}
	return 0, filled
}

// follows reports where stems end that stand one behind the other from a word
// on, articles between them apart; 0 where they don't.
func follows(stems, list, words []string, at int) int {
	for i, s := range stems {
		for i > 0 && at < len(list) && list[at] != s && articles[words[at]] {
			at++
		}
		if at >= len(list) || list[at] != s {
			return 0
		}
		at++
	}
	return at
}

// said is one word of a need, or several that mean one thing together.
type said struct {
	text  string     // as said
	stem  string     // of a single word
	word  string     // a single word in lower case
	deeds []deed     // what is meant where several words mean a deed
	means [][]string // what is meant where several words mean a thing
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

// longest finds the sayings of two words or more that have the most words, of
// these the one that takes the fewest.
func longest(list, words []string) (n int, one said, rest []string) {
	most := 0
	for _, s := range sayings()[list[0]] {
		if len(s.words) < 2 || len(s.words) < most {
			continue
		}
		took, filled := s.match(list, words)
		if took > len(s.words) && len(s.deeds) == 0 && !slices.Contains(s.words, gap) { // no article stands within a name
			took = 0
		}
		if took == 0 || len(s.words) == most && took > n {
			continue
		}
		if len(s.words) > most || took < n {
			most, n, one, rest = len(s.words), took, said{}, words[filled[0]:filled[1]]
			one.text = strings.Join(words[:took], " ")
			if filled[1] > filled[0] {
				one.text = strings.Join(words[:filled[0]], " ") + " … " + strings.Join(words[filled[1]:took], " ")
			}
		}
		one.means = append(one.means, s.means...)
		one.deeds = append(one.deeds, s.deeds...)
	}
	return n, one, rest
}

// single word with all that it may mean.
func single(word, stem string) said {
	return said{text: word, word: word, stem: stem}
}

// thingsOf are the meanings of a single word as a thing, deedsOf those
// where a verb stands.
func thingsOf(stem string) (means [][]string) {
	for _, s := range sayings()[stem] {
		if len(s.words) == 1 {
			for _, m := range s.means {
				if !slices.ContainsFunc(means, func(o []string) bool { return slices.Equal(o, m) }) {
					means = append(means, m)
				}
			}
		}
	}
	return means
}

func deedsOf(stem string) (out []deed) {
	for _, s := range sayings()[stem] {
		if len(s.words) == 1 {
			out = append(out, s.deeds...)
		}
	}
	return out
}

package needs

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/kljensen/snowball/english"

	"github.com/sallyport/sallyport/openapi"
)

// Sizes of what a plain ranking picks and shows.
const (
	firstFew  = 5
	firstMany = 20
)

// Keywords is the choice of a plain full-text ranking, to compare with: BM25
// (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009, with
// the usual k1 = 1.2 and b = 0.75) over the stems of an operation's id, path,
// summary, tags and description. Its first five count as picked, its first twenty
// as shown.
func Keywords(d *openapi.Document, need string) Choice {
	const k1, b = 1.2, 0.75
	texts := make([]map[string]float64, len(d.Operations))
	lengths := make([]float64, len(d.Operations))
	in := map[string]float64{}
	total := 0.0
	for i := range d.Operations {
		o := &d.Operations[i]
		texts[i] = map[string]float64{}
		for _, w := range wordsOf(strings.Join(append([]string{o.ID, o.Method, o.Path, o.Summary, o.Description}, o.Tags...), " ")) {
			if texts[i][w]++; texts[i][w] == 1 {
				in[w]++
			}
			lengths[i]++
		}
		total += lengths[i]
	}
	n := float64(len(texts))
	scores := make([]float64, len(texts))
	order := make([]int, len(texts))
	for i, text := range texts {
		order[i] = i
		for _, w := range wordsOf(need) {
			if f := text[w]; f > 0 {
				scores[i] += math.Log(1+(n-in[w]+0.5)/(in[w]+0.5)) * f * (k1 + 1) / (f + k1*(1-b+b*lengths[i]*n/total))
			}
		}
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(scores[y], scores[x]) })
	c := Choice{}
	for rank, i := range order {
		if rank >= firstMany || scores[i] == 0 {
			break
		}
		c.Shown = append(c.Shown, d.Operations[i].Call())
		if rank < firstFew {
			c.Picked = append(c.Picked, d.Operations[i].Call())
		}
	}
	return c
}

// wordsOf are the stems of a text, its words taken apart at changes of case.
func wordsOf(text string) (out []string) {
	var apart strings.Builder
	lower := false
	for _, r := range text {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			apart.WriteByte(' ')
		case unicode.IsUpper(r) && lower:
			apart.WriteByte(' ')
			fallthrough
		default:
			apart.WriteRune(unicode.ToLower(r))
		}
		lower = unicode.IsLower(r)
	}
	for w := range strings.FieldsSeq(apart.String()) {
		if len(w) > 1 && !english.IsStopWord(w) {
			out = append(out, english.Stem(w, false))
		}
	}
	return out
}

package draft

import "strings"

var (
	conjunctions = set("and then when whenever while but after before so if plus also once until unless till because")
	conditions   = set("when whenever while after before if once until unless till because")
)

// piece of a need between conjunctions and punctuation.
type piece struct {
	text      string
	condition bool // introduced by when, if and the like
	context   bool // of a sentence that asks for nothing
}

// imperative reports whether the piece begins with its verb; "when orders are
// placed" has none at its beginning.
func (p piece) imperative() bool {
	for i, w := range split(p.text) {
		if i == 0 && subjects[w] { // "when we ship"
			return false
		}
		if _, ok := verbs[stem(w)]; ok {
			return true
		}
		if !opens[w] {
			return false
		}
	}
	return false
}

func pieces(need string) (out []piece) {
	for _, s := range statements(need) {
		list := cutPieces(s.text)
		for i := range list {
			list[i].context = s.context
		}
		out = append(out, list...)
	}
	return out
}

func cutPieces(need string) []piece {
	var out []piece
	var words []string
	condition, last := false, ""
	flush := func() {
		if len(words) > 0 {
			out = append(out, piece{text: strings.Join(words, " "), condition: condition})
			words, condition = nil, false
		}
	}
	const around = ",.;:!?()\"'“”"
	need = strings.ReplaceAll(need, "as soon as ", "when ")
	for w := range strings.FieldsSeq(need) {
		bare := strings.Trim(w, around)
		if lower := strings.ToLower(bare); conjunctions[lower] {
			indirect := last == "and" && lower == "when" && len(out) > 0 // "see what it is and when it came"
			flush()
			condition = conditions[lower] && !indirect
			last = lower
			if indirect {
				words = append(words, bare)
			}
			continue
		}
		last = ""
		words = append(words, bare)
		if strings.ContainsAny(w[len(w)-1:], ",.;:!?") {
			flush()
		}
	}
	flush()
	return out
}

// idioms takes out of a text what is no verb and no thing in it; follow says
// that it asks to know of changes ("in step").
func idioms(text string) (out string, follow bool) {
	plain := strings.ToLower(text)
	if strings.Contains(plain, "set up ") {
		plain = strings.ReplaceAll(plain, "set up ", "setup ")
		text = plain
	}
	for _, idiom := range []string{"in step", "in sync", "up to date", "in line", "up-to-date"} {
		if strings.Contains(plain, idiom) {
			plain = strings.ReplaceAll(plain, idiom, " ")
			text, follow = plain, true
		}
	}
	return text, follow
}

package code

import "github.com/sallyport/sallyport/review"

// hit is a place and what was found there.
type hit struct {
	at   int
	what string
}

// findMarks finds what says that a machine wrote a text (R0.8): in comments and
// documents. Of source code only the comments are looked at.
func findMarks(src source) (out []hit) {
	for _, m := range review.Marks(string(src.text)) {
		if src.code != nil && m.At < len(src.code) && src.code[m.At] == src.text[m.At] {
			continue // not in a comment
		}
		out = append(out, hit{at: m.At, what: "the text says what wrote it: " + m.Text})
	}
	return out
}

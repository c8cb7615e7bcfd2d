package review

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/plan"
)

// Mark is a place in a text that says which machine wrote it (R0.8).
type Mark struct {
	At   int // byte
	Text string
}

// writers are the names that such marks carry, each letter moved thirteen places
// in the alphabet: these lines must not themselves be what they look for.
const writers = `pynhqr(?: pbqr)?|pungtcg|tcg-?[0-9][\w.-]*|(?:tvguho )?pbcvybg|phefbe|pbqrvhz|jvaqfhes|trzvav(?: pbqr)?|nvqre|qriva|pbqrk|gnoavar|ercyvg(?: ntrag)?|ybinoyr|pbqrjuvfcrere|pbql|na nv|nv|yyz|n ynathntr zbqry|n ynetr ynathntr zbqry|negvsvpvny vagryyvtrapr`

// markers are the shapes of a mark: a sentence that begins with it, the trailer
// of a commit message, a model that speaks of itself. A text about such a tool,
// or about what is made with it for customers, has none of them.
var markers = sync.OnceValue(func() *regexp.Regexp {
	names := moved(writers)
	return regexp.MustCompile(`(?im)(?:^|[#/*;!(>"-]|\. |` + "\U0001F916" + `)[ \t]*((?:this (?:file|code|text|document|page|function|class|test) (?:was|is|has been) )?` +
		`(?:code )?(?:generated|written|created|authored|co-authored|produced|drafted|refactored|suggested|assisted)[ \t]+(?:entirely |mostly |partly |automatically )?` +
		`(?:by|with|using|with the help of|with help from)[ \t:]+\[?(?:` + names + `)\b)` +
		`|^[ \t#/*]*(co-authored-by:[ \t]*(?:` + names + `)\b)` +
		`|\b(` + moved("nf na nv ynathntr zbqry") + `)\b`)
})

// moved moves letters thirteen places.
func moved(s string) string {
	escaped := false
	return strings.Map(func(r rune) rune {
		was := escaped
		escaped = r == '\\'
		switch {
		case was: // \w is not a name
		case 'a' <= r && r <= 'z':
			return 'a' + (r-'a'+13)%26
		}
		return r
	}, s)
}

// verbs are in every mark, one of them; only the lines that have one are read
// more closely.
var verbs = [][]byte{
	[]byte("generated"), []byte("written"), []byte("created"), []byte("authored"), []byte("produced"), []byte("drafted"),
	[]byte("refactored"), []byte("suggested"), []byte("assisted"), []byte(moved("ynathntr zbqry")),
}

// Marks finds what in a text says that a machine wrote it.
func Marks(text string) (out []Mark) {
	small := []byte(text)
	for i, c := range small { // byte for byte, which strings.ToLower is not
		if 'A' <= c && c <= 'Z' {
			small[i] = c + 'a' - 'A'
		}
	}
	begin := 0
	for line := range bytes.Lines(small) {
		if slices.ContainsFunc(verbs, func(v []byte) bool { return bytes.Contains(line, v) }) {
			out = append(out, marksIn(text, begin, begin+len(bytes.TrimRight(line, "\r\n")))...)
		}
		begin += len(line)
	}
	return out
}

// marksIn finds marks in a line.
func marksIn(text string, begin, end int) (out []Mark) {
	for _, m := range markers().FindAllStringSubmatchIndex(text[begin:end], 100) {
		for g := 2; g < len(m); g += 2 {
			if m[g] >= 0 {
				out = append(out, Mark{At: begin + m[g], Text: oneLine(text[begin+m[g] : begin+m[g+1]])})
				break
			}
		}
	}
	return out
}

// checkMarks keeps R0.8 for the sentences of a plan.
func checkMarks(p *plan.Plan, _ Options) []answer {
	var out []answer
	look := func(path, text string) {
		for _, m := range Marks(text) {
			out = append(out, answer{outcome: Fail, path: path, message: m.Text})
		}
	}
	look("need", p.Need)
	if p.Decision != nil {
		look("decision", p.Decision.Why)
	}
	for _, name := range sorted(p.Endpoints) {
		look("endpoints."+name, p.Endpoints[name].Purpose)
		look("endpoints."+name, p.Endpoints[name].Why)
	}
	for _, key := range sorted(p.Errors) {
		look("errors."+key, p.Errors[key].Message)
	}
	for i := range p.OpenQuestions {
		look("open_questions", p.OpenQuestions[i].Ask)
	}
	return or(out, "no sentence says what wrote it")
}

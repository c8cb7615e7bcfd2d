package code

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/BobuSumisu/aho-corasick"
	"github.com/BurntSushi/toml"

	"github.com/sallyport/sallyport/review"
)

//go:embed gitleaks.toml
var gitleaksRules string

// leakRule is a rule of gitleaks, with what of it is used here.
type leakRule struct {
	ID         string      `toml:"id"`
	Text       string      `toml:"description"`
	Regex      string      `toml:"regex"`
	Path       string      `toml:"path"`
	Group      int         `toml:"secretGroup"`
	Entropy    float64     `toml:"entropy"`
	Keywords   []string    `toml:"keywords"`
	Allowlists []leakAllow `toml:"allowlists"`

	regex, path func() *regexp.Regexp // compiled when first needed; nil for none
	whole       bool                  // may span lines
}

// leakAllow is what is no secret after all.
type leakAllow struct {
	Condition string   `toml:"condition"` // AND: all that is set must fit; else any
	Paths     []string `toml:"paths"`
	Regexes   []string `toml:"regexes"`
	Target    string   `toml:"regexTarget"` // secret (empty), match or line
	Stopwords []string `toml:"stopwords"`

	paths, regexes func() []*regexp.Regexp
}

// leaks is the rule file, ready for use.
type leaks struct {
	Global leakAllow  `toml:"allowlist"`
	Rules  []leakRule `toml:"rules"`

	words *ahocorasick.Trie
	about [][]int // keyword → rules
	bare  []int   // rules without keywords
}

var leakRules = sync.OnceValue(func() *leaks {
	l := new(leaks)
	if _, err := toml.Decode(gitleaksRules, l); err != nil {
		panic(err) // the file is part of the program, and its tests read it
	}
	l.Global.prepare()
	at, words := map[string]int{}, []string(nil)
	for i := range l.Rules {
		r := &l.Rules[i]
		r.regex, r.path = compiled(r.Regex), compiled(r.Path)
		r.whole = strings.Contains(r.Regex, `\S`) || strings.Contains(r.Regex, "(?s") || strings.Contains(r.Regex, `\n`)
		for k := range r.Allowlists {
			r.Allowlists[k].prepare()
		}
		if r.Regex == "" {
			continue // about a file's name alone
		}
		if len(r.Keywords) == 0 {
			l.bare = append(l.bare, i)
		}
		for _, word := range r.Keywords {
			word = strings.ToLower(word)
			if _, ok := at[word]; !ok {
				at[word] = len(words)
				words = append(words, word)
				l.about = append(l.about, nil)
			}
			l.about[at[word]] = append(l.about[at[word]], i)
		}
	}
	l.words = ahocorasick.NewTrieBuilder().AddStrings(words).Build()
	return l
})

func compiled(text string) func() *regexp.Regexp {
	if text == "" {
		return nil
	}
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) }) // in the file alone, and its test compiles all
}

func (a *leakAllow) prepare() {
	all := func(list []string) func() []*regexp.Regexp {
		return sync.OnceValue(func() (out []*regexp.Regexp) {
			for _, text := range list {
				out = append(out, regexp.MustCompile(text))
			}
			return out
		})
	}
	a.paths, a.regexes = all(a.Paths), all(a.Regexes)
}

// allows reports whether what was found is none.
func (a *leakAllow) allows(file, secret, match, line string) bool {
	target := secret
	switch a.Target {
	case "match":
		target = match
	case "line":
		target = line
	}
	var asked, fit int
	for _, one := range []struct {
		set bool
		fit func() bool
	}{
		{len(a.Paths) > 0, func() bool { return anyMatches(a.paths(), file) }},
		{len(a.Regexes) > 0, func() bool { return anyMatches(a.regexes(), target) }},
		{len(a.Stopwords) > 0, func() bool {
			lower := strings.ToLower(secret)
			return slices.ContainsFunc(a.Stopwords, func(w string) bool { return strings.Contains(lower, w) })
		}},
	} {
		if !one.set {
			continue
		}
		asked++
		if one.fit() {
			fit++
		}
	}
	if a.Condition == "AND" {
		return asked > 0 && fit == asked
	}
	return fit > 0
}

func anyMatches(list []*regexp.Regexp, s string) bool {
	return slices.ContainsFunc(list, func(r *regexp.Regexp) bool { return r.MatchString(s) })
}

// leak is a secret in a file.
type leak struct {
	rule   string
	text   string // the rule's description
	at     int    // where the secret begins
	secret string
}

// shown is what may be printed of a secret.
func shown(secret string) string {
	start := secret
	if r := []rune(secret); len(r) > 4 {
		start = string(r[:4])
	}
	return fmt.Sprintf("%s… (%d characters)", start, len([]rune(secret)))
}

// lower writes the text in small letters, byte for byte.
func lower(text []byte) []byte {
	out := make([]byte, len(text))
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		out[i] = c
	}
	return out
}

// generic is the rule of gitleaks that knows no provider; where another one
// found the secret, it is not told twice.
const generic = "generic-api-key"

// findSecrets finds what looks like a secret by the rules of gitleaks.
func findSecrets(src source) []leak {
	rules := leakRules()
	if anyMatches(rules.Global.paths(), src.name) {
		return nil
	}
	windows := map[int][][2]int{} // rule → where to look
	rules.words.Walk(lower(src.text), func(end, n, pattern int64) bool {
		for _, i := range rules.about[pattern] {
			windows[i] = addWindow(windows[i], src.text, int(end-n+1), &rules.Rules[i])
		}
		return true
	})
	for _, i := range rules.bare {
		windows[i] = [][2]int{{0, len(src.text)}}
	}
	var out []leak
	for i := range rules.Rules { // in the file's order, so that runs agree
		for _, w := range windows[i] {
			out = append(out, rules.in(&rules.Rules[i], src, w)...)
		}
	}
	return once(out)
}

// addWindow adds the line of a keyword, or the whole file for a rule that spans
// lines. Of a very long line, as in bundles, it is the part around the keyword.
func addWindow(list [][2]int, text []byte, at int, r *leakRule) [][2]int {
	last := len(list) - 1
	if last >= 0 && list[last][0] <= at && at < list[last][1] {
		return list
	}
	if r.whole {
		return append(list, [2]int{0, len(text)})
	}
	const before, after = 200, 1000
	start := max(0, at-before)
	if i := bytes.LastIndexByte(text[start:at], '\n'); i >= 0 {
		start += i + 1
	}
	end := min(len(text), at+after)
	if i := bytes.IndexByte(text[at:end], '\n'); i >= 0 {
		end = at + i + 1
	}
	if r.ID == generic && !promising(text[at:end]) {
		return list
	}
	return append(list, [2]int{start, end})
}

// promising reports whether the generic rule can find anything here: a word of
// ten characters with a digit in it, behind something like an assignment. Its
// expression is slow, and its keywords stand everywhere.
func promising(text []byte) bool {
	run, digit, assigned := 0, false, false
	for _, c := range text {
		switch {
		case '0' <= c && c <= '9':
			digit = true
			run++
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == '-', c == '.', c == '+', c == '/':
			run++
		case c == '=' || c == ':' || c == '>' || c == ',' || c == '|':
			assigned = true
			run, digit = 0, false
		default:
			run, digit = 0, false
		}
		if assigned && digit && run >= 10 {
			return true
		}
	}
	return false
}

// in applies a rule to a part of a file.
func (l *leaks) in(r *leakRule, src source, w [2]int) []leak {
	if r.path != nil && !r.path().MatchString(src.name) {
		return nil
	}
	var out []leak
	part := src.text[w[0]:w[1]]
	for _, m := range r.regex().FindAllSubmatchIndex(part, 100) {
		from, to := m[0], m[1]
		for g := 1; g < len(m)/2; g++ {
			if wanted := r.Group == 0 || g == r.Group; wanted && m[2*g] >= 0 && m[2*g] < m[2*g+1] {
				from, to = m[2*g], m[2*g+1]
				break
			}
		}
		secret := strings.Trim(string(part[from:to]), "\r\n")
		if secret == "" || r.Entropy > 0 && entropy(secret) <= r.Entropy {
			continue
		}
		line := lineAt(src.text, w[0]+from)
		match := string(part[m[0]:m[1]])
		if strings.Contains(line, "gitleaks:allow") || l.Global.allows(src.name, secret, match, line) || stopped(l.Global, secret) ||
			slices.ContainsFunc(r.Allowlists, func(a leakAllow) bool { return a.allows(src.name, secret, match, line) }) {
			continue
		}
		out = append(out, leak{rule: r.ID, text: r.Text, at: w[0] + from, secret: secret})
	}
	return out
}

func stopped(a leakAllow, secret string) bool {
	return slices.ContainsFunc(a.Stopwords, func(w string) bool { return strings.Contains(secret, w) })
}

// once leaves one of several rules that found the same place, the generic one
// last.
func once(list []leak) []leak {
	var out []leak
	for _, pass := range []bool{false, true} {
		for _, one := range list {
			if (one.rule == generic) != pass {
				continue
			}
			if !slices.ContainsFunc(out, func(o leak) bool { return o.at < one.at+len(one.secret) && one.at < o.at+len(o.secret) }) {
				out = append(out, one)
			}
		}
	}
	return out
}

// entropy of a text in bits a character (Shannon), over its bytes.
func entropy(s string) float64 {
	var counts [256]int
	for i := range len(s) {
		counts[s[i]]++
	}
	sum := 0.0
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(s))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}

// secret adds a finding about a secret; the lock is held. In tests and samples
// it is a warning: most are made up, and nobody can tell.
func (s *scan) secret(src source, hit leak) {
	f := review.NewFinding("R7.2.1", review.Fail, fmt.Sprintf("%s: %s", hit.rule, shown(hit.secret)))
	f.File = s.path(src.name)
	f.Line, f.Column = position(src.text, hit.at)
	// The line with the secret taken out: a hash of a short secret could be tried.
	f.Fingerprint = review.Fingerprint("R7.2.1", src.name, hit.rule, strings.ReplaceAll(lineAt(src.text, hit.at), strings.SplitN(hit.secret, "\n", 2)[0], ""))
	if src.test {
		f.Severity = review.Warning
		f.Message += ", in a test or sample"
	}
	s.report.Findings = append(s.report.Findings, f)
}

package review

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Suppression is why a failure is let pass.
type Suppression struct {
	// Kind is inSource for a comment beside the finding and external for a line
	// of the baseline: SARIF's words (3.35.2).
	Kind   string `json:"kind"`
	Reason string `json:"reason,omitempty"`
	Until  string `json:"until,omitempty"` // YYYY-MM-DD; empty in a baseline
}

// Ignore is a comment that asks that findings of a rule be let pass: on its own
// line, and on the one after it. Behind the mark of a comment stands
// "sallyport:ignore E77 until=2027-01-01 reason=the owner is named in January".
type Ignore struct {
	File  string
	Line  int // from 1
	Rule  string
	Until string // as written
	// Reason is what follows reason=, to the end of the line.
	Reason string
}

// ignoreComment is the comment behind the mark of a comment, so that a text
// about it is none. The mark is split: this file must not ignore anything.
var ignoreComment = regexp.MustCompile(`(?:#|//|--|/\*|\*|<!--|;)[ \t]*sallyport` + `:ignore\b[ \t]*(.*)`)

// Ignores finds the comments of a text that ask for a suppression; file is
// handed on to them. In Markdown only <!-- --> is a comment. What is no rule's id is part of Rule all the same: Apply
// tells of it.
func Ignores(file, text string) []Ignore {
	if !strings.Contains(text, "sallyport"+":ignore") {
		return nil
	}
	var out []Ignore
	n := 0
	for line := range strings.Lines(text) {
		n++
		m := ignoreComment.FindStringSubmatch(line)
		if m == nil || strings.HasSuffix(file, ".md") && !strings.Contains(line, "<!--") {
			continue
		}
		rest := strings.TrimSpace(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(m[1]), "-->"), "*/"))
		one := Ignore{File: file, Line: n}
		rest, one.Reason, _ = strings.Cut(rest, "reason=")
		one.Reason = strings.Trim(strings.TrimSpace(one.Reason), `"`)
		for _, word := range strings.Fields(rest) {
			if until, ok := strings.CutPrefix(word, "until="); ok {
				one.Until = until
			} else if one.Rule == "" {
				one.Rule = word
			}
		}
		out = append(out, one)
	}
	return out
}

// wrong says what keeps the comment from holding; empty when nothing does.
func (i Ignore) wrong(today time.Time) string {
	switch {
	case i.Rule == "":
		return "the comment names no rule"
	case !slices.ContainsFunc(AllRules(), func(r Rule) bool { return r.ID == i.Rule }):
		return fmt.Sprintf("there is no rule %s", i.Rule)
	case i.Reason == "":
		return fmt.Sprintf("%s is ignored without a reason", i.Rule)
	case i.Until == "":
		return fmt.Sprintf("%s is ignored without an end (until=YYYY-MM-DD)", i.Rule)
	}
	day, err := time.Parse(time.DateOnly, i.Until)
	switch {
	case err != nil:
		return fmt.Sprintf("until=%s is no date (YYYY-MM-DD)", i.Until)
	case !today.IsZero() && !today.Before(day.AddDate(0, 0, 1)):
		return fmt.Sprintf("%s was to be ignored until %s: %s", i.Rule, i.Until, i.Reason)
	}
	return ""
}

// covers reports whether the comment is about a failure: one on its line or on
// the one after, and one about the file as a whole when the comment stands
// anywhere in it.
func (i Ignore) covers(f Finding) bool {
	return f.Outcome == Fail && f.Rule == i.Rule && f.File == i.File && (f.Line == 0 || f.Line == i.Line || f.Line == i.Line+1)
}

// Suppress lets failures pass as comments ask for it, and adds what is to be
// said about the comments: I1 for one that is past or says too little, which
// then holds nothing back, and I2 for one that holds nothing back any more. I1
// and I2 themselves can't be ignored. A finding keeps its outcome; Suppressed
// tells.
func (r *Result) Suppress(ignores []Ignore, today time.Time) {
	for _, i := range ignores {
		if wrong := i.wrong(today); wrong != "" {
			r.Findings = append(r.Findings, i.finding("I1", wrong))
			continue
		}
		used := false
		for k := range r.Findings {
			f := &r.Findings[k]
			if i.covers(*f) && f.Rule != "I1" && f.Rule != "I2" {
				used = true
				f.Suppressed = &Suppression{Kind: "inSource", Reason: oneLine(i.Reason), Until: i.Until}
			}
		}
		if !used {
			r.Findings = append(r.Findings, i.finding("I2", fmt.Sprintf("nothing here breaks %s", i.Rule)))
		}
	}
}

func (i Ignore) finding(rule, message string) Finding {
	f := NewFinding(rule, Fail, message)
	f.File, f.Line, f.Column = i.File, i.Line, 1
	f.Fingerprint = Fingerprint(rule, i.File, i.Rule)
	return f
}

// Suppressed is how many failures are let pass.
func (r *Result) Suppressed() int {
	n := 0
	for _, f := range r.Findings {
		if f.Suppressed != nil {
			n++
		}
	}
	return n
}

// Outcomes is what the findings say of each rule, the worst of them: fail, then
// unknown, then pass. A failure that is let pass counts as one.
func Outcomes(findings []Finding) map[string]Outcome {
	rank := map[Outcome]int{NotApplicable: 1, Pass: 2, Unknown: 3, Fail: 4}
	out := map[string]Outcome{}
	for _, f := range findings {
		if cmp.Compare(rank[f.Outcome], rank[out[f.Rule]]) > 0 {
			out[f.Rule] = f.Outcome
		}
	}
	return out
}

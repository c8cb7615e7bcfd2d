package review

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Write writes the result as text, md, json, sarif or junit. Colour is for text
// at a terminal.
func (r *Result) Write(w io.Writer, format string, colour bool) error {
	switch format {
	case "text":
		return r.text(w, colour)
	case "md":
		return r.markdown(w)
	case "json":
		return indented(w, Result{Plans: append([]string{}, r.Plans...), Findings: append([]Finding{}, r.Findings...)}) // lists, never null
	case "sarif":
		return indented(w, r.sarif())
	case "junit":
		return r.junit(w)
	}
	return fmt.Errorf("review: %q is not one of text, md, json, sarif, junit", format)
}

func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// summary is the last line of every form for people.
func (r *Result) summary() string {
	failed := map[Severity]int{}
	for _, f := range r.Findings {
		if f.Outcome == Fail && f.Suppressed == nil {
			failed[f.Severity]++
		}
	}
	s := fmt.Sprintf("%s: %s, %s, %s; %d passed, %d unknown, %d not applicable",
		oneLine(cmp.Or(strings.Join(r.Plans, ", "), "code")), count(failed[Error], "error"), count(failed[Warning], "warning"), count(failed[Note], "note"), r.Count(Pass), r.Count(Unknown), r.Count(NotApplicable))
	if n := r.Suppressed(); n > 0 {
		s += fmt.Sprintf(", %d ignored", n)
	}
	return s
}

// place is file:line:column, as editors understand it.
func (f Finding) place() string {
	file := oneLine(f.File)
	if file == "" {
		file = "plan"
	}
	if f.Line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d:%d", file, f.Line, f.Column)
}

// label is the word before a finding.
func (f Finding) label() string {
	if f.Suppressed != nil {
		return "ignored"
	}
	if f.Outcome == Fail {
		return string(f.Severity)
	}
	return strings.ReplaceAll(string(f.Outcome), "_", " ")
}

// words are why a finding is let pass, to stand behind its message.
func (s *Suppression) words() string {
	switch {
	case s == nil:
		return ""
	case s.Until == "":
		return " (" + s.Reason + ")"
	}
	return fmt.Sprintf(" (ignored until %s: %s)", s.Until, s.Reason)
}

// colours of labels, as ECMA-48 select graphic rendition.
var colours = map[string]string{"error": "1;31", "warning": "33", "note": "36", "unknown": "35", "pass": "32", "not applicable": "2", "ignored": "2"}

// text is for terminals: one block a failed or undecided rule with its places,
// then a line for each of the others.
func (r *Result) text(w io.Writer, colour bool) error {
	paint := func(code, s string) string {
		if !colour {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	var b strings.Builder
	for list := r.order(); len(list) > 0; {
		f := list[0]
		head := paint(colours[f.label()], fmt.Sprintf("%-14s", f.label())) + fmt.Sprintf(" %-8s ", f.Rule)
		if f.Outcome == Pass || f.Outcome == NotApplicable || f.Suppressed != nil {
			of := ""
			if len(r.Plans) > 1 || f.Suppressed != nil {
				of = f.place() + ": "
			}
			fmt.Fprintf(&b, "%s%s%s: %s%s\n", head, of, f.Title, f.Message, f.Suppressed.words())
			list = list[1:]
			continue
		}
		n := 1
		for n < len(list) && list[n].Rule == f.Rule && list[n].Outcome == f.Outcome && list[n].Suppressed == nil {
			n++
		}
		block(&b, head, list[:n], paint)
		list = list[n:]
	}
	fmt.Fprintf(&b, "\n%s\n", r.summary())
	_, err := io.WriteString(w, b.String())
	return err
}

// block writes the findings of one rule. A way out that is the same for all of
// them stands once, at the end.
func block(b *strings.Builder, head string, list []Finding, paint func(code, s string) string) {
	b.WriteString(head + list[0].Title + "\n")
	same := !slices.ContainsFunc(list, func(f Finding) bool { return f.Fix != list[0].Fix })
	for _, f := range list {
		fmt.Fprintf(b, "  %s: %s\n", f.place(), f.Message)
		if !same && f.Fix != "" {
			fmt.Fprintf(b, "    %s %s\n", paint("2", "fix:"), f.Fix)
		}
	}
	if list[0].Outcome == Fail {
		fmt.Fprintf(b, "  %s %s\n", paint("2", "why:"), list[0].Why)
	}
	if same && list[0].Fix != "" {
		fmt.Fprintf(b, "  %s %s\n", paint("2", "fix:"), list[0].Fix)
	}
}

func (r *Result) markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Review of %s\n\n%s.\n\n| outcome | rule | what must hold | where | found | fix |\n| --- | --- | --- | --- | --- | --- |\n", cell(strings.Join(r.Plans, ", ")), cell(r.summary()))
	for _, f := range r.order() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", f.label(), f.Rule, cell(f.Title), cell(f.place()), cell(f.Message+f.Suppressed.words()), cell(f.Fix))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell makes text safe inside a Markdown table.
func cell(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "&", "&amp;", "<", "&lt;", "[", "\\[", "`", "\\`", "*", "\\*", "_", "\\_").Replace(s)
}

// The parts of JUnit's report that build servers read.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Failure *junitMessage `xml:"failure,omitempty"`
		Skipped *junitMessage `xml:"skipped,omitempty"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// junit: a failed error is a failure; failed warnings and notes pass and say so
// in their output; unknown and not applicable are skipped.
func (r *Result) junit(w io.Writer) error {
	suite := junitSuite{Name: "sallyport review " + strings.Join(r.Plans, ", ")}
	for _, f := range r.order() {
		c := junitCase{Name: f.Rule + " " + f.Title, Class: "review." + strings.TrimSuffix(filepath.Base(f.File), ".yaml")}
		detail := fmt.Sprintf("%s: %s\nwhy: %s\nfix: %s", f.place(), f.Message, f.Why, f.Fix)
		switch {
		case f.Suppressed != nil:
			suite.Skipped++
			c.Skipped = &junitMessage{Message: f.label() + ": " + f.Message + f.Suppressed.words()}
		case f.Outcome == Fail && f.Severity == Error:
			suite.Failures++
			c.Failure = &junitMessage{Message: f.Message, Type: f.Rule, Text: detail}
		case f.Outcome == Fail:
			c.Output = string(f.Severity) + ": " + detail
		case f.Outcome == Unknown, f.Outcome == NotApplicable:
			suite.Skipped++
			c.Skipped = &junitMessage{Message: f.label() + ": " + f.Message}
		}
		suite.Cases = append(suite.Cases, c)
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Suites: []junitSuite{suite}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

package review_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sallyport/sallyport/review"
)

// failing is the review of a plan with one failed error, some notes and a
// question as a stranger may write one.
func failing(t *testing.T) *review.Result {
	t.Helper()
	text := strings.Replace(good, "    idempotency: {header: Idempotency-Key, keep: 24h}\n", "", 1)
	text += `open_questions: [{about: api, ask: "a|b <script>\e[31m\n\u202E]]> [x](javascript:1) & *", look: "\e]0;x\a"}]` + "\n"
	return review.Plan(load(t, text), review.Options{Now: today})
}

// place is where the error stands.
var place = func() string {
	before, _, _ := strings.Cut(good, "  create_customer:")
	return fmt.Sprintf("stripe.yaml:%d:3", 1+strings.Count(before, "\n"))
}()

func written(t *testing.T, r *review.Result, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b, format, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// R7.4: every form says the same: one error, at its place.
func TestText(t *testing.T) {
	t.Parallel()
	r := failing(t)
	text := written(t, r, "text")
	if !strings.HasPrefix(text, "error          R4.7 ") || !strings.Contains(text, place+": create_customer creates") {
		t.Errorf("the error does not come first, with its place:\n%s", text)
	}
	if strings.ContainsAny(text, "\x1b\a\u202e") {
		t.Errorf("a plan can write to the terminal: %q", text)
	}
	if n := strings.Count(text, "The gateway acts upon every row"); n != 1 {
		t.Errorf("the title of a rule stands %d times", n)
	}
	if last := text[strings.LastIndex(strings.TrimSpace(text), "\n"):]; !strings.Contains(last, "stripe: 1 error, 1 warning") {
		t.Errorf("the summary: %q", last)
	}
	var b bytes.Buffer
	if err := r.Write(&b, "text", true); err != nil || !strings.Contains(b.String(), "\x1b[1;31merror") {
		t.Errorf("no colour: %v", err)
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	md := written(t, failing(t), "md")
	if !strings.Contains(md, "| error | R4.7 |") {
		t.Errorf("md: %s", md)
	}
	if strings.Contains(md, "<script") || strings.Contains(md, "a|b") || strings.Contains(md, " [x](") {
		t.Errorf("text of the plan becomes mark-up:\n%s", md)
	}
	for line := range strings.Lines(md) {
		if n := strings.Count(strings.ReplaceAll(line, "\\|", ""), "|"); strings.HasPrefix(line, "|") && n != 7 {
			t.Errorf("%d bars in %q", n, line)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	r := failing(t)
	var back review.Result
	if err := json.Unmarshal([]byte(written(t, r, "json")), &back); err != nil || len(back.Findings) != len(r.Findings) {
		t.Fatalf("%v, %d findings", err, len(back.Findings))
	}
	if !back.Failed() {
		t.Error("the failure was lost")
	}
	// A result without a plan is an empty list to programs, not null.
	if empty := written(t, &review.Result{}, "json"); strings.Contains(empty, "null") {
		t.Errorf("empty: %s", empty)
	}
}

// sarifSchema is the one OASIS publishes (testdata/README.md).
var sarifSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	data, err := os.ReadFile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("sarif.json")
})

// validSARIF tells what the schema of SARIF 2.1.0 has against a text, as it was
// written.
func validSARIF(t *testing.T, text string) error {
	t.Helper()
	schema, err := sarifSchema()
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(v)
}

// SARIF is valid by its schema, byte for byte as it is written, and an
// independent reader knows each of its properties.
func TestSARIF(t *testing.T) {
	t.Parallel()
	r := failing(t)
	r.Findings[0].File = "/plans/a b#c.yaml"
	text := written(t, r, "sarif")
	if err := validSARIF(t, text); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{ // the schema is at work
		strings.Replace(text, `"level": "error"`, `"level": "fatal"`, 1),
		strings.Replace(text, `"kind": "fail"`, `"kind": "failed"`, 1),
		strings.Replace(text, `"startLine": `, `"startLine": -`, 1),
		strings.Replace(text, `"ruleIndex"`, `"ruleNumber"`, 1),
	} {
		if wrong == text || validSARIF(t, wrong) == nil {
			t.Error("a wrong text is valid, or was not made wrong")
		}
	}
	if empty := written(t, &review.Result{}, "sarif"); validSARIF(t, empty) != nil {
		t.Errorf("a result without findings is not valid: %v", validSARIF(t, empty))
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	report := new(sarif.Report)
	if err := d.Decode(report); err != nil {
		t.Fatal(err)
	}
	rules := report.Runs[0].Tool.Driver.Rules
	if len(rules) != len(review.AllRules()) || len(report.Runs[0].Results) != len(r.Findings) {
		t.Fatalf("%d rules, %d results", len(rules), len(report.Runs[0].Results))
	}
	kinds := map[string]bool{}
	for _, one := range report.Runs[0].Results {
		kinds[one.Kind] = true
		if *rules[one.RuleIndex].ID != *one.RuleID {
			t.Errorf("%s points to the rule %s", *one.RuleID, *rules[one.RuleIndex].ID)
		}
		if (one.Kind == "fail") == (one.Level == "none") {
			t.Errorf("%s has the kind %s and the level %s", *one.RuleID, one.Kind, one.Level)
		}
	}
	for _, kind := range []string{"pass", "fail", "open", "notApplicable"} {
		if !kinds[kind] {
			t.Errorf("no result is %s", kind)
		}
	}
	if !strings.Contains(text, `"file:///plans/a%20b%23c.yaml"`) {
		t.Error("the name of a file is not escaped")
	}
}

func TestJUnit(t *testing.T) {
	t.Parallel()
	r := failing(t)
	var suites struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Skipped  int `xml:"skipped,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Text string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(written(t, r, "junit")), &suites); err != nil {
		t.Fatal(err)
	}
	s := suites.Suites[0]
	if s.Failures != 1 || s.Tests != len(s.Cases) || s.Tests != len(r.Findings) || s.Skipped != r.Count(review.Unknown)+r.Count(review.NotApplicable) {
		t.Errorf("%d of %d cases fail, %d are skipped", s.Failures, s.Tests, s.Skipped)
	}
	if s.Cases[0].Failure == nil || !strings.Contains(s.Cases[0].Failure.Text, place) {
		t.Errorf("the first case: %+v", s.Cases[0].Failure)
	}
}

func TestFormatsOfSeveralPlans(t *testing.T) {
	t.Parallel()
	r := failing(t)
	one := len(r.Findings)
	r.Add(review.Plan(load(t, strings.Replace(good, "service: stripe", "service: billing", 1)), review.Options{Now: today}))
	if !slices.Equal(r.Plans, []string{"stripe", "billing"}) || len(r.Findings) <= one || !r.Failed() {
		t.Errorf("%v, %d findings", r.Plans, len(r.Findings))
	}
	for _, format := range []string{"text", "md", "json", "sarif", "junit"} {
		if first, second := written(t, r, format), written(t, r, format); first != second || !strings.Contains(format+first, "billing") && format != "sarif" {
			t.Errorf("%s differs from run to run, or leaves out a plan", format)
		}
	}
	if err := r.Write(io.Discard, "yaml", false); err == nil || !strings.Contains(err.Error(), "junit") {
		t.Errorf("an unknown format: %v", err)
	}
}

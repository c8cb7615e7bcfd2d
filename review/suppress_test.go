package review_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/review"
)

const ignoring = "# sallyport" + ":ignore "

// R7: an exception needs a reason and an end; what is past fails again, what is
// needless is told.
func TestSuppress(t *testing.T) {
	t.Parallel()
	broken := strings.Replace(good, "    idempotency: {header: Idempotency-Key, keep: 24h}\n", "", 1)
	at := func(comment string) string {
		return strings.Replace(broken, "  create_customer:\n", comment+"\n  create_customer:\n", 1)
	}
	for _, test := range []struct {
		name, comment string
		failed        bool
		rule, message string // of the finding about the comment
	}{
		{"with reason and end", ignoring + "R4.7 until=2027-01-01 reason=the provider learns keys in May", false, "", ""},
		{"last day", ignoring + "R4.7 until=2026-11-24 reason=today it holds", false, "", ""},
		{"past", ignoring + "R4.7 until=2026-11-23 reason=until yesterday", true, "I1", "until yesterday"},
		{"without a reason", ignoring + "R4.7 until=2027-01-01", true, "I1", "without a reason"},
		{"without an end", ignoring + "R4.7 reason=because", true, "I1", "without an end"},
		{"no date", ignoring + "R4.7 until=soon reason=because", true, "I1", "no date"},
		{"no rule of that name", ignoring + "R99 until=2027-01-01 reason=because", true, "I1", "no rule R99"},
		{"no rule at all", ignoring, true, "I1", "names no rule"},
		{"another rule", ignoring + "E25 until=2027-01-01 reason=because", true, "I2", "nothing here breaks E25"},
		{"itself", ignoring + "I1 until=2027-01-01 reason=because", true, "I2", "nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := at("  " + test.comment)
			r := review.Plan(load(t, text), review.Options{Now: today})
			r.Suppress(review.Ignores("stripe.yaml", text), today)
			if r.Failed() != test.failed {
				t.Errorf("failed: %v", r.Failed())
			}
			for _, rule := range []string{"I1", "I2"} {
				got, messages := outcomes(r, rule)
				if (len(got) == 1) != (test.rule == rule) || !strings.Contains(messages, test.message) && test.rule == rule {
					t.Errorf("%s: %v %s", rule, got, messages)
				}
			}
			if n := r.Suppressed(); (n == 1) == test.failed {
				t.Errorf("%d ignored", n)
			}
		})
	}
}

// The finding stays where it was, in every form, and says who let it pass.
func TestSuppressedIsShown(t *testing.T) {
	t.Parallel()
	text := strings.Replace(good, "    idempotency: {header: Idempotency-Key, keep: 24h}\n", "", 1)
	text = strings.Replace(text, "  create_customer:\n", ignoring+"R4.7 until=2027-01-01 reason=keys come in May\n  create_customer:\n", 1)
	r := review.Plan(load(t, text), review.Options{Now: today})
	r.Suppress(review.Ignores("stripe.yaml", text), today)
	for format, want := range map[string]string{
		"text": "ignored until 2027-01-01: keys come in May", "md": "keys come in May", "json": `"reason": "keys come in May"`,
		"sarif": `"justification": "keys come in May"`, "junit": "keys come in May",
	} {
		if got := written(t, r, format); !strings.Contains(got, want) {
			t.Errorf("%s does not say who let it pass", format)
		}
	}
	if text := written(t, r, "text"); strings.HasPrefix(text, "error") || !strings.Contains(text, "0 errors") || !strings.Contains(text, "1 ignored") {
		t.Errorf("what is ignored counts: %s", text)
	}
	if err := validSARIF(t, written(t, r, "sarif")); err != nil {
		t.Error(err)
	}
}

// R7: what was there before is let pass; one more of it is not.
func TestBaseline(t *testing.T) {
	t.Parallel()
	old := failing(t)
	var file bytes.Buffer
	if err := old.Baseline().Write(&file); err != nil {
		t.Fatal(err)
	}
	first := file.String()
	b, err := review.ReadBaseline(&file)
	if err != nil {
		t.Fatal(err)
	}
	same := failing(t)
	if mended := same.Accept(b); same.Failed() || mended != 0 || same.Suppressed() == 0 {
		t.Errorf("failed: %v, %d mended, %d ignored", same.Failed(), mended, same.Suppressed())
	}
	var again bytes.Buffer
	if err := same.Baseline().Write(&again); err != nil || again.String() != first {
		t.Error("a baseline over a baseline is another one")
	}
	if err := validSARIF(t, written(t, same, "sarif")); err != nil {
		t.Error(err)
	}
	// Lines move, the failures stay the same.
	moved := review.Plan(load(t, "# a comment\n"+strings.Replace(good, "    idempotency: {header: Idempotency-Key, keep: 24h}\n", "", 1)), review.Options{Now: today})
	moved.Accept(b)
	if moved.Failed() {
		t.Error("a failure whose line moved is a new one")
	}
	twice := failing(t)
	twice.Findings = append(twice.Findings, twice.Findings...)
	if twice.Accept(b); !twice.Failed() {
		t.Error("a second failure hides behind the first")
	}
	clean := review.Plan(load(t, good), review.Options{Now: today, Document: document()})
	if mended := clean.Accept(b); mended == 0 {
		t.Error("nobody hears that lines of the baseline were mended")
	}
}

func TestBrokenBaselines(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "[]", `{"version":2,"findings":[]}`, `{"version":1,"findings":[],"more":1}`, `{"version":1,"findings":[]}{}`} {
		if _, err := review.ReadBaseline(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "--write-baseline") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestIgnoresAreFoundInCommentsOnly(t *testing.T) {
	t.Parallel()
	text := "x = 1 // sallyport" + ":ignore R7.2.1 until=2027-01-01 reason=a test key */\n" +
		"s := \"sallyport" + ":ignore R7.2.2\"\n<!-- sallyport" + ":ignore R0.8 until=2027-01-01 reason=quoted -->\n"
	got := review.Ignores("a.go", text)
	if len(got) != 2 || got[0] != (review.Ignore{File: "a.go", Line: 1, Rule: "R7.2.1", Until: "2027-01-01", Reason: "a test key"}) || got[1].Line != 3 || got[1].Reason != "quoted" {
		t.Errorf("%+v", got)
	}
	if got := review.Ignores("a.md", text); len(got) != 1 {
		t.Errorf("a sample in a document ignores: %+v", got)
	}
}

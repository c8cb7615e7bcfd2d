package document_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/document"
	"github.com/sallyport/sallyport/plan"
)

// changed counts the lines that one text has and the other has not.
func changed(a, b string) (lines []string) {
	count := map[string]int{}
	for line := range strings.Lines(a) {
		count[line]++
	}
	for line := range strings.Lines(b) {
		count[line]--
	}
	for line, n := range count {
		if n != 0 {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// changes are edits as a second planning makes them, each of one row.
var changes = map[string]func(p *plan.Plan){
	"a timeout":     func(p *plan.Plan) { p.Endpoints["get_customer"].Timeout = 7e9 },
	"a fallback":    func(p *plan.Plan) { p.Endpoints["get_customer"].Fallback = "fail" },
	"a mapping row": func(p *plan.Plan) { p.Mappings["customer"][0].Internal = "mail" },
	"a new mapping row": func(p *plan.Plan) {
		p.Mappings["customer"] = append(p.Mappings["customer"], plan.MappingRow{External: "phone", Internal: "phone", As: "string"})
	},
	"an error policy": func(p *plan.Plan) { p.Errors["402"] = plan.ErrorPolicy{Message: "Try another card."} },
	"the headroom":    func(p *plan.Plan) { p.Limits.Headroom = 50 },
	"a question": func(p *plan.Plan) {
		p.OpenQuestions = append(p.OpenQuestions, plan.Question{About: "auth", Ask: "Whose key is it?"})
	},
	"an owner": func(p *plan.Plan) { p.Monitoring.Owner = "others" },
	"an event": func(p *plan.Plan) {
		p.Webhooks.Events["customer.deleted"] = plan.EventHandling{To: catalog.OneOrMore{"app"}}
	},
	"a purpose": func(p *plan.Plan) { p.Endpoints["get_customer"].Purpose = "Look at the payer." },
	"a breaker": func(p *plan.Plan) { p.Breaker.Pause = 20e9 },
}

// R8.1, R8.3: a change of one row is a change of few lines, so that people see
// it in a pull request. Counting both sides, a line that changed is two.
func TestSmallChangesAreSmall(t *testing.T) {
	t.Parallel()
	before, err := document.Markdown(loadPlan(t, "complete"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := loadPlan(t, "complete")
			change(p)
			after, err := document.Markdown(p, nil)
			if err != nil {
				t.Fatal(err)
			}
			lines := changed(string(before), string(after))
			if len(lines) == 0 {
				t.Error("the change does not show")
			}
			// One row of one table, the row of the tests, the counts of the summary.
			if len(lines) > 22 {
				t.Errorf("%d lines differ:\n%s", len(lines), strings.Join(lines, "\n"))
			}
		})
	}
}

// R8.3: lines of comment and blank lines in the plan, and the order of its keys,
// change nothing.
func TestPlaceInTheFileDoesNotMatter(t *testing.T) {
	t.Parallel()
	p := loadPlan(t, "complete")
	want, err := document.Markdown(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := plan.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	moved, err := plan.Parse("elsewhere.yaml", []byte(strings.ReplaceAll(string(text), "\n\n", "\n\n# a word\n\n")), nil)
	if err != nil {
		t.Fatal(err)
	}
	moved.Provider = p.Provider
	got, err := document.Markdown(moved, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lines := changed(string(want), string(got)); len(lines) > 0 {
		t.Errorf("%d lines differ:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

// hidden are keys that are not for the reader: what the file calls itself, and
// that limits are enforced, which goes without saying (observe is said).
var hidden = []string{"Sallyport", "Service", "Uses", "File", "Limits.Mode"}

// R8.1: what a plan says is in its document, whatever keys the format learns.
// Each text and number of a plan that uses every key is looked for.
func TestEveryKeyShows(t *testing.T) {
	t.Parallel()
	p := loadPlan(t, "complete")
	md, err := document.Markdown(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.NewReplacer(`\_`, "_", `\*`, "*", `\[`, "[", `\]`, "]", `\|`, "|").Replace(string(md))
	n := 0
	leaves("", reflect.ValueOf(p).Elem(), func(path, value string) {
		n++
		if !strings.Contains(plain, strings.Join(strings.Fields(value), " ")) {
			t.Errorf("%s: %q is not in the document", path, value)
		}
	})
	if n < 120 {
		t.Errorf("only %d values were looked for", n)
	}
}

// leaves calls found with each text, number and duration of a plan.
func leaves(path string, v reflect.Value, found func(path, value string)) {
	if s, ok := v.Interface().(fmt.Stringer); ok && v.Kind() != reflect.Pointer {
		if !v.IsZero() {
			found(path, s.String())
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		if v.Len() > 0 {
			found(path, v.String())
		}
	case reflect.Int:
		if v.Int() != 0 {
			found(path, fmt.Sprint(v.Int()))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			leaves(path, v.Elem(), found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			skip := false
			for _, name := range hidden {
				skip = skip || path+"."+f.Name == "."+name
			}
			if f.IsExported() && !skip && f.Name != "Provider" {
				leaves(path+"."+f.Name, v.Field(i), found)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			leaves(fmt.Sprintf("%s[%d]", path, i), v.Index(i), found)
		}
	case reflect.Map:
		for key, value := range v.Seq2() {
			found(path, key.String())
			leaves(path+"."+key.String(), value, found)
		}
	default:
	}
}

// R8.1: whatever plan there is, its document is made, twice the same.
func TestAnyPlan(t *testing.T) {
	t.Parallel()
	list := plans(t)
	rapid.Check(t, func(r *rapid.T) {
		own := *list[rapid.SampledFrom([]string{"stripe", "github", "hubspot", "complete", "zendesk"}).Draw(r, "plan")]
		own.Need = rapid.String().Draw(r, "need")
		if rapid.Bool().Draw(r, "no webhooks") {
			own.Webhooks = nil
		}
		if rapid.Bool().Draw(r, "no endpoints") {
			own.Endpoints = nil
		}
		if rapid.Bool().Draw(r, "no decision") {
			own.Decision = nil
		}
		own.Auth.Use = rapid.SampledFrom([]string{"api_key", "oauth2", "jwt", "client_credentials", "basic", ""}).Draw(r, "kind")
		a, err := document.HTML(&own, nil)
		if err != nil {
			r.Fatal(err)
		}
		b, err := document.HTML(&own, nil)
		if err != nil || string(a) != string(b) {
			r.Fatal("the same plan gives another document", err)
		}
	})
}

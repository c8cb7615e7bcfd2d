package document_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/document"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

func both(t *testing.T, p *plan.Plan, doc *openapi.Document) (md, html string) {
	t.Helper()
	m, err := document.Markdown(p, doc)
	if err != nil {
		t.Fatal(err)
	}
	h, err := document.HTML(p, doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(m), string(h)
}

// R2.10: what is no reference may be the secret itself.
func TestShowsNoSecret(t *testing.T) {
	t.Parallel()
	p := load(t)
	p.Environments["development"].Secrets["api_key"] = catalog.OneOrMore{"sk_test_canary"}
	billing := p.Destinations["billing"]
	billing.Secret = catalog.OneOrMore{"whsec_canary"}
	p.Destinations["billing"] = billing
	md, html := both(t, p, nil)
	for name, s := range map[string]string{"Markdown": md, "HTML": html} {
		if strings.Contains(s, "canary") {
			t.Errorf("the %s shows a secret", name)
		}
		if n := strings.Count(s, "not a reference, not shown"); n != 2 {
			t.Errorf("the %s says %d times that it shows no secret, want 2", name, n)
		}
	}
}

// R0.1, R8.4: what is not known, not confirmed and not done stands on top.
func TestSaysWhatIsOpen(t *testing.T) {
	t.Parallel()
	p := load(t)
	md, _ := both(t, p, nil)
	top, _, _ := strings.Cut(md, "## Decision")
	for _, want := range []string{
		"**2 questions**; **2 parts** of the profile nobody has confirmed",
		"| `profile.webhooks` | Is it so? From memory are `retries`, `replay`, `verify.rotation`. |",
		"| `profile.idempotency` | Is it so? From memory are `max_length`. |",
		"| This version refuses to serve `production` |",
		"| `monitoring.notify` |",
	} {
		if !strings.Contains(top, want) {
			t.Errorf("the top does not say %q", want)
		}
	}
	for _, no := range []string{"profile.limits", "profile.sandbox", "profile.service"} {
		if strings.Contains(top, no) {
			t.Errorf("%s was confirmed or is not rested upon, and is asked for", no)
		}
	}

	p.OpenQuestions = nil
	p.Profile.Confirmed = map[string]plan.Confirmation{}
	for _, s := range p.Provider.Sections() {
		p.Profile.Confirmed[s.Name] = plan.Confirmation{On: "2026-11-24", By: "payments"}
	}
	md, _ = both(t, p, nil)
	if !strings.Contains(md, "## Open questions\n\nNone.\n") || !strings.Contains(md, "| Open questions | none asked; **") {
		t.Error("all is answered, and it does not say so")
	}
}

// R8.4: whoever reads one section only learns there too what is not done yet.
func TestMarksWhatIsOnlyPlanned(t *testing.T) {
	t.Parallel()
	p := load(t)
	p.Errors["404"] = plan.ErrorPolicy{Alert: true}
	md, _ := both(t, p, nil)
	_, rest, _ := strings.Cut(md, "## Decision")
	const mark = " (**not acted upon yet**)"
	for id, want := range map[string]string{
		"auth.rotate_every":             "A credential is replaced every **90d**" + mark,
		"webhook.retention":             "| payloads 30d, ids 90d" + mark,
		"webhook.redact":                "| `data.object.customer_email`" + mark,
		"webhook.reconcile":             "behind the question before" + mark,
		"monitoring.notify":             "| Channels | `ops`" + mark,
		"monitoring.expect_calls_every": "| Silence is reported after | 30m" + mark,
	} {
		waits := slices.ContainsFunc(p.Unenforced(), func(r plan.Row) bool { return r.ID == id })
		if strings.Contains(rest, want) != waits {
			t.Errorf("%s waits: %t, and the sections say %q: %t", id, waits, want, !waits)
		}
		if waits && !strings.Contains(rest, "`"+id+"`\\*") {
			t.Errorf("%s has no star among the tests", id)
		}
	}
	for _, r := range p.Rows() {
		waits := slices.ContainsFunc(p.Unenforced(), func(u plan.Row) bool { return u.ID == r.ID })
		if strings.Contains(rest, "`"+r.ID+"`\\*") != waits {
			t.Errorf("%s waits: %t, its star says otherwise", r.ID, waits)
		}
	}
}

// R4.12: the numbers that result from the headroom.
func TestLimitNumbers(t *testing.T) {
	t.Parallel()
	p := load(t)
	p.Limits.Headroom = 33
	md, _ := both(t, p, nil)
	for _, want := range []string{"Used at 33%", "| `live` | 100 requests per 1s | **33** |", "| `sandbox` | 25 requests per 1s | **8.2** |"} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q", want)
		}
	}
}

// R4: a plan's own policy replaces the default and says so.
func TestErrorTable(t *testing.T) {
	t.Parallel()
	p := load(t)
	p.Errors["503"] = plan.ErrorPolicy{Retry: 2, Then: "keep"}
	md, _ := both(t, p, nil)
	for _, want := range []string{
		"| `503` | the provider is in trouble | 2 retries, then keep | | plan |",
		"| `5xx` | the provider is in trouble | 3 retries after 1s, 2s, 4s, then keep | | default |",
		"| `402` | a payment is needed or was refused | no retry | The card was declined. | plan |",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("no row %q", want)
		}
	}
}

// R6: every row of the plan is there and has something that proves it.
func TestEveryRowHasAProof(t *testing.T) {
	t.Parallel()
	p := load(t)
	md, html := both(t, p, nil)
	_, tests, _ := strings.Cut(md, "### Tests")
	for _, r := range p.Rows() {
		if !strings.Contains(tests, "`"+r.ID+"`") {
			t.Errorf("row %s is missing", r.ID)
		}
	}
	if strings.Contains(html, "and that its opposite is noticed") {
		t.Error("a kind of row has no proof of its own")
	}
}

// R0.3: the provider's document is compared with what the plan uses.
func TestComparesWithTheDocument(t *testing.T) {
	t.Parallel()
	doc := apiDocument()
	md, _ := both(t, load(t), doc)
	for _, want := range []string{
		"| In the API document | Retrieve a customer |", "| In the API document | Create a customer; **deprecated** |",
		"| In the API document | **not there** |", "**1 defect**",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(md, "Its hash is not the pinned one") {
		t.Error("the hash fits")
	}
	doc.SHA256 = strings.Repeat("9", 64)
	if md, _ = both(t, load(t), doc); !strings.Contains(md, "**Its hash is not the pinned one**") {
		t.Error("another document passed for the pinned one")
	}
}

// The least a plan can say, at every provider of the catalogue and with every
// kind of credential it knows.
func TestSmallPlans(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"stripe", "github", "slack"} {
		pr, err := catalog.Load(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"api_key", "basic", "oauth2", "client_credentials", "jwt", "none"} {
			p := &plan.Plan{Service: id, Uses: id, Need: "Try it.", Auth: plan.Auth{Use: kind}, Provider: pr, Endpoints: map[string]*plan.Endpoint{"gone": nil}}
			md, html := both(t, p, &openapi.Document{})
			for _, want := range []string{"does not say whether a client is built", "The plan has no environment besides production.", "The plan maps nothing", "`monitoring.owner`"} {
				if !strings.Contains(md, want) {
					t.Errorf("%s, %s: no %q", id, kind, want)
				}
			}
			for _, bad := range []string{"%!", ": .", " ,", "` , ", "()", "<nil>"} {
				if strings.Contains(md, bad) {
					t.Errorf("%s, %s: %q in the Markdown", id, kind, bad)
				}
			}
			htmlBuild(t, []byte(html))
		}
	}
}

// R8.1: the file needs nothing besides itself, and can be read by everybody.
func TestHTMLIsAccessibleAndOffline(t *testing.T) {
	t.Parallel()
	_, page := both(t, load(t), apiDocument())
	for _, bad := range []string{"<script", "<link", "<img", "<iframe", " src=", "@import", "url(http", "style=\""} {
		if strings.Contains(page, bad) {
			t.Errorf("%s in the page", bad)
		}
	}
	if !strings.Contains(page, "<html lang=\"en\">") || !strings.Contains(page, "default-src 'none'") {
		t.Error("no language, or no policy")
	}
	ids, level := map[string]bool{}, 0
	var points []string
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose = false, []string{"meta", "input", "wbr"}
	for {
		token, err := d.Token()
		if err != nil {
			break
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		name := e.Name.Local
		if len(name) == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6' {
			next := int(name[1] - '0')
			if next > level+1 {
				t.Errorf("a heading of level %d follows one of level %d", next, level)
			}
			level = next
		}
		scope := ""
		for _, a := range e.Attr {
			switch {
			case a.Name.Local == "id":
				if ids[a.Value] {
					t.Errorf("the id %s is there twice", a.Value)
				}
				ids[a.Value] = true
			case a.Name.Local == "scope":
				scope = a.Value
			case strings.HasPrefix(a.Value, "#"):
				points = append(points, a.Value[1:])
			case strings.HasPrefix(a.Name.Local, "aria-labelledby"):
				points = append(points, strings.Fields(a.Value)...)
			}
		}
		if name == "th" && scope == "" {
			t.Error("a th without scope")
		}
	}
	if len(points) < 20 {
		t.Fatalf("only %d references found", len(points))
	}
	for _, id := range points {
		if !ids[id] {
			t.Errorf("#%s leads nowhere", id)
		}
	}
}

// WCAG 2.2, 1.4.3: text stands out from its ground by 4.5 to 1 in each scheme.
func TestContrast(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("style.css")
	if err != nil {
		t.Fatal(err)
	}
	schemes := regexp.MustCompile(`:root \{[^}]*\}`).FindAll(css, -1)
	if len(schemes) != 3 {
		t.Fatalf("%d schemes, want light, dark and print", len(schemes))
	}
	for i, scheme := range schemes {
		colours := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]+);`).FindAllSubmatch(scheme, -1) {
			colours[string(m[1])] = luminance(t, string(m[2]))
		}
		for _, ink := range []string{"ink", "soft", "accent"} {
			for _, ground := range []string{"paper", "shade", "note"} {
				a, b := colours[ink]+0.05, colours[ground]+0.05
				if ratio := max(a, b) / min(a, b); ratio < 4.5 {
					t.Errorf("scheme %d: %s on %s is %.1f to 1", i, ink, ground, ratio)
				}
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func ExampleMarkdown() {
	p, err := plan.Load("testdata/plans/stripe.yaml", catalog.Load)
	if err != nil {
		fmt.Println(err)
		return
	}
	md, err := document.Markdown(p, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, line := range bytes.Split(md, []byte("\n")) {
		if i < 10 {
			fmt.Println(string(line))
		}
	}
	// Output:
	// # Stripe integration plan
	//
	// Charge customers for monthly invoices and keep invoice status in step.
	//
	// ## Summary
	//
	// | What | This plan |
	// |---|---|
	// | Provider | Stripe, version `2026-08-26.dahlia` |
	// | Decision | build a client of our own |
}

// Package compare lays what a provider's own API document says beside what its
// profile holds, fact by fact (R1.4): addresses, credentials, limits, errors,
// idempotency, lists, events.
//
// A document rarely tells all, and sometimes is wrong: a contradiction is for a
// person to look at, not for a program to settle. Nothing is changed.
package compare

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/openapi"
)

// Verdict is how a fact of the document stands to the profile.
type Verdict string

// The verdicts there are.
const (
	Imported    Verdict = "imported"    // the document says it, and the profile says the same or nothing
	Missing     Verdict = "missing"     // the profile says it, and the document is silent
	Contradicts Verdict = "contradicts" // both say it, and differ
)

// Fact is one thing that the profile or the document says.
type Fact struct {
	Section  string  `json:"section"`            // of the profile: api, auth, limits, errors, idempotency, pagination, webhooks
	Name     string  `json:"name"`               // of the field in the section
	Profile  string  `json:"profile,omitempty"`  // empty: silent
	Document string  `json:"document,omitempty"` // empty: silent
	Verdict  Verdict `json:"verdict"`
	Note     string  `json:"note,omitempty"` // what a reader has to know; one sentence
}

// Facts compares a profile with a document, in the order of the profile's
// sections. What neither says is left out.
func Facts(p *catalog.Profile, d *openapi.Document) []Fact {
	c := &comparison{profile: p, document: d, query: map[string]int{}, header: map[string]int{}, answers: map[string]string{}}
	c.gather()
	c.api()
	c.auth()
	c.limits()
	c.errors()
	c.idempotency()
	c.pagination()
	c.webhooks()
	return c.facts
}

// Count says how many facts have each verdict.
func Count(facts []Fact) map[Verdict]int {
	n := map[Verdict]int{}
	for _, f := range facts {
		n[f.Verdict]++
	}
	return n
}

// comparison holds what is gathered of the document once.
type comparison struct {
	profile  *catalog.Profile
	document *openapi.Document
	facts    []Fact

	reads    int               // GET operations
	query    map[string]int    // query parameters of these → how many have it
	header   map[string]int    // header parameters of all operations, as written
	answers  map[string]string // response headers by their name in lower case
	failures []*openapi.Schema // bodies of answers that are no success
	lists    []*openapi.Schema // bodies of successful reads
}

func (c *comparison) gather() {
	for name := range c.document.ResponseHeaders {
		c.answers[strings.ToLower(name)] = name
	}
	for _, o := range c.document.Operations {
		if o.Method == http.MethodGet {
			c.reads++
		}
		for _, p := range o.Parameters {
			switch {
			case p.In == "query" && o.Method == http.MethodGet:
				c.query[p.Name]++
			case p.In == "header":
				c.header[p.Name]++
			}
		}
		for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
			body := o.Responses[status]
			if body == nil || body.Schema == nil {
				continue
			}
			switch {
			case strings.HasPrefix(status, "2") && o.Method == http.MethodGet:
				c.lists = append(c.lists, body.Schema)
			case strings.HasPrefix(status, "4"), strings.HasPrefix(status, "5"), status == "default":
				c.failures = append(c.failures, body.Schema)
			}
		}
	}
}

// add writes down what both say. The verdict follows from who is silent, unless
// they differ.
func (c *comparison) add(section, name, profile, document string, differ bool, note string) {
	f := Fact{Section: section, Name: name, Profile: profile, Document: document, Verdict: Imported, Note: note}
	switch {
	case profile == "" && document == "":
		return
	case document == "":
		f.Verdict = Missing
	case differ && profile != "":
		f.Verdict = Contradicts
	case profile == "" && note == "":
		f.Note = "the profile is silent"
	}
	c.facts = append(c.facts, f)
}

// headerParameter finds a header parameter of the document's by name.
func (c *comparison) headerParameter(name string) (string, int) {
	for written, n := range c.header {
		if strings.EqualFold(written, name) {
			return written, n
		}
	}
	return "", 0
}

func of(n, all int, what string) string { return fmt.Sprintf("%d of %d %s", n, all, what) }

// Package document turns a plan into a document that people review: Markdown
// for a pull request, or one HTML file that works offline and prints.
//
// The document is made once, as a page of blocks (page.go), and then written
// in either form, so both always say the same. It begins with what fits on one
// screen and ends with the long tables. Whatever stands in a plan, a profile or
// a provider's document is text here and never mark-up, and the same input
// always gives the same bytes. The package opens no socket and no file.
package document

import (
	"errors"
	"maps"

	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// Markdown writes the plan's document as GitHub-flavoured Markdown, with its
// diagrams in Mermaid. The doc is the provider's API document; nil leaves out
// what it would add. The plan needs its Provider, which plan.Load sets.
func Markdown(p *plan.Plan, doc *openapi.Document) ([]byte, error) {
	pg, err := pageOf(p, doc)
	if err != nil {
		return nil, err
	}
	return pg.markdown(), nil
}

// HTML writes the plan's document as one HTML file without a script and
// without anything to fetch; its diagrams are SVG inside of it. The doc is the
// provider's API document; nil leaves out what it would add. The plan needs its
// Provider, which plan.Load sets.
func HTML(p *plan.Plan, doc *openapi.Document) ([]byte, error) {
	pg, err := pageOf(p, doc)
	if err != nil {
		return nil, err
	}
	return pg.html(), nil
}

// pageOf puts the sections together.
func pageOf(p *plan.Plan, doc *openapi.Document) (*page, error) {
	switch {
	case p == nil:
		return nil, errors.New("document: there is no plan")
	case p.Provider == nil:
		return nil, errors.New("document: the plan has no profile of its provider; read it with plan.Load or plan.Parse")
	}
	p = without(p)
	w := &writer{plan: p, provider: p.Provider, doc: doc, rows: p.Rows(), unenforced: p.Unenforced()}
	w.page.title = p.Provider.Name + " integration plan"
	w.page.lead = p.Need
	w.summary()
	w.questions()
	w.furtherRisks()
	w.notYet()
	w.decision()
	w.study()
	w.auth()
	w.section("mapping", "Step 3: Endpoints and mapping")
	w.endpoints()
	w.mappings()
	w.section("failures", "Step 4: Errors and limits")
	w.errors()
	w.limits()
	w.resilience()
	w.webhooks()
	w.section("test-and-monitor", "Step 6: Test and monitor")
	w.tests()
	w.monitoring()
	w.checklist()
	w.points()
	w.rollout()
	w.exit()
	return &w.page, nil
}

// without is the plan without endpoints that say nothing, so that no section has
// to ask.
func without(p *plan.Plan) *plan.Plan {
	own := *p
	own.Endpoints = maps.Clone(p.Endpoints)
	maps.DeleteFunc(own.Endpoints, func(_ string, e *plan.Endpoint) bool { return e == nil })
	return &own
}

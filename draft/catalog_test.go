package draft_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	pages "github.com/sallyport/sallyport/document"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/review"
)

// R8.1, R1.1: every provider the catalog knows can be planned by hand; the plan
// loads, is reviewed and becomes a document.
func TestEveryProfileCanBePlanned(t *testing.T) {
	t.Parallel()
	list := catalog.IDs()
	if len(list) < 100 {
		t.Fatalf("%d profiles", len(list))
	}
	for _, id := range list {
		profile, err := catalog.Load(id)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		in := draft.Input{
			Service: strings.TrimLeft(id, "0123456789-"), Need: "Create things and read them back", Profile: profile, Now: today,
			Endpoints: []string{"POST /things", "GET /things/{id}", "GET /things", "PUT /things/{id}", "POST /things/{id}/send", "DELETE /things/{id}"},
		}
		if profile.Webhooks != nil {
			in.Events = []string{"thing.created"}
		}
		p, report, err := draft.Write(in)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		if len(p.Endpoints) != len(in.Endpoints) || (p.Webhooks != nil) != (profile.Webhooks != nil) || len(report.Questions) == 0 {
			t.Errorf("%s: %d endpoints, webhooks %v, %d questions", id, len(p.Endpoints), p.Webhooks, len(report.Questions))
		}
		text := marshal(t, p)
		loaded, err := plan.Parse(id+".yaml", text, catalog.Load)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		if len(review.Plan(loaded, review.Options{Now: today}).Findings) == 0 {
			t.Errorf("%s is not reviewed", id)
		}
		for name, write := range map[string]func() ([]byte, error){
			"markdown": func() ([]byte, error) { return pages.Markdown(loaded, nil) },
			"html":     func() ([]byte, error) { return pages.HTML(loaded, nil) },
		} {
			if page, err := write(); err != nil || len(page) < 1000 {
				t.Errorf("%s: %s: %d bytes, %v", id, name, len(page), err)
			}
		}
		// R8.3: planned again, nothing changes.
		if again, changes, err := draft.Merge(text, p); err != nil || string(again) != string(text) || len(changes.Left) > 0 {
			t.Errorf("%s changes when planned again: %v %+v", id, err, changes)
		}
	}
}

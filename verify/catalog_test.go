package verify

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
)

// R5.2: what the catalog says about a provider verifies the collection's vectors,
// so that the facts have one meaning. Vectors of providers that the catalog does
// not hold are counted by the other tests.
func TestCatalogVerifiesVectors(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]*catalog.Webhooks{}
	for _, p := range all {
		byID[p.ID] = p.Webhooks
	}
	checked := 0
	for _, e := range append(entries(t), otherSchemes(t)...) {
		w := byID[strings.ReplaceAll(e.Provider, "_", "-")]
		if w == nil {
			continue
		}
		spec := w.Verify
		for _, v := range w.Variants {
			if v.Name == e.Variant || strings.ReplaceAll(v.Name, "-", "_") == e.Variant {
				spec = v.Verify
			}
		}
		s := compile(t, spec)
		for _, v := range e.Vectors {
			checked++
			now := v.clockOf(t, compile(t, e.Verify))
			if err := s.Verify(v.request(), secrets(v.credential()), now); (err == nil) != v.Valid {
				t.Errorf("%s, %s: valid is %v: %v", e.name(), v.Name, v.Valid, err)
			}
		}
	}
	if checked < 3 { // of Stripe, GitHub and Slack alone there are as many
		t.Errorf("%d vectors checked", checked)
	}
	t.Logf("%d vectors checked", checked)
}

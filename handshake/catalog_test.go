package handshake_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/handshake"
)

// profileNames are the providers that the catalog knows by another name.
var profileNames = map[string]string{"x_twitter": "x", "whatsapp": "whatsapp-cloud"}

// R5.3: the catalog's own handshakes compile, and answer the collection's
// requests as its vectors say.
func TestCatalog(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string]*handshake.Set{}
	for _, p := range all {
		if p.Webhooks == nil || len(p.Webhooks.Handshakes) == 0 {
			continue
		}
		if sets[p.ID], err = handshake.Compile(p.Webhooks.Handshakes); err != nil {
			t.Errorf("%s: %v", p.ID, err)
		}
	}
	for _, p := range providers(t) {
		id := strings.ReplaceAll(p.Provider, "_", "-")
		if other := profileNames[p.Provider]; other != "" {
			id = other
		}
		set := sets[id]
		if set == nil {
			continue // its profile, if there is one, does not say so yet
		}
		for _, e := range p.Cases {
			name := id + ", " + e.Name
			h := set.Match(e.request())
			if e.None && h != nil || !e.None && h == nil {
				t.Errorf("%s: taken for a handshake is %v", name, h != nil)
			}
			if e.None || h == nil {
				continue
			}
			got, err := h.Answer(e.request(), secrets(e.Secret))
			if e.Refused != (err != nil) {
				t.Errorf("%s: refused is %v: %v", name, !e.Refused, err)
			}
			if err == nil && e.Vector {
				check(t, name, e, got)
			}
		}
	}
}

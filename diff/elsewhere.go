package diff

import (
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/sallyport/sallyport/openapi"
)

// elsewhere counts what else changed.
func (c *comparison) elsewhere() {
	seed := maphash.MakeSeed()
	e := &c.report.Elsewhere
	e.Operations = differences(operations(c.was, seed), operations(c.now, seed), c.used)
	e.Schemas = differences(schemas(c.was, seed), schemas(c.now, seed), c.used)
	for _, pair := range [][2][]string{{c.was.EventTypes, c.now.EventTypes}, {c.now.EventTypes, c.was.EventTypes}} {
		for _, kind := range pair[0] {
			if _, planned := c.positions["event."+kind]; !planned && !slices.Contains(pair[1], kind) {
				e.EventTypes++
			}
		}
	}
}

// differences counts names of one side only or of another print, less those
// the plan uses.
func differences(was, now map[string]uint64, used map[string]bool) (n int) {
	for name, sum := range was {
		if other, ok := now[name]; !used[name] && (!ok || sum != other) {
			n++
		}
	}
	for name := range now {
		if _, ok := was[name]; !used[name] && !ok {
			n++
		}
	}
	return n
}

func operations(d *openapi.Document, seed maphash.Seed) map[string]uint64 {
	prints := make(map[string]uint64, len(d.Operations))
	for _, o := range d.Operations {
		p := printer{}
		p.SetSeed(seed)
		fmt.Fprint(&p, o.Deprecated)
		for _, x := range o.Parameters {
			fmt.Fprint(&p, x.Name, x.In, x.Required)
			p.schema(x.Schema, 0)
		}
		p.body(o.Request)
		for _, status := range names(o.Responses) {
			fmt.Fprint(&p, status)
			p.body(o.Responses[status])
		}
		prints[o.Call()] = p.Sum64()
	}
	return prints
}

func schemas(d *openapi.Document, seed maphash.Seed) map[string]uint64 {
	prints := map[string]uint64{}
	for _, name := range d.SchemaNames() {
		p := printer{}
		p.SetSeed(seed)
		p.schema(d.Schema(name), 0)
		prints[name] = p.Sum64()
	}
	return prints
}

// printer makes fingerprints of what matters; descriptions do not.
type printer struct{ maphash.Hash }

func (p *printer) body(b *openapi.Body) {
	if b != nil {
		fmt.Fprint(p, b.ContentType, b.Required)
		p.schema(b.Schema, 0)
	}
}

func (p *printer) schema(s *openapi.Schema, depth int) {
	if s == nil || depth > 64 {
		fmt.Fprint(p, "-")
		return
	}
	fmt.Fprint(p, "{", s.Ref, s.Type, s.Format, s.Nullable, s.Enum, s.Required, s.MaxLength, s.Pattern)
	for _, x := range s.Properties {
		fmt.Fprint(p, x.Name)
		p.schema(x.Schema, depth+1)
	}
	for _, list := range [][]*openapi.Schema{{s.Items, s.AdditionalProperties}, s.AnyOf, s.AllOf} {
		fmt.Fprint(p, "[")
		for _, x := range list {
			p.schema(x, depth+1)
		}
	}
}

// nearest is the name most like name by the pieces they share; empty when none
// shares half.
func nearest(name string, known []string) string {
	best, score := "", 0.5
	for _, k := range known {
		if s := likeness(name, k); s > score {
			best, score = k, s
		}
	}
	return best
}

// likeness is the share of pairs of letters that two names have in common
// (Dice's coefficient).
func likeness(a, b string) float64 {
	pairs := map[string]int{}
	for i := range max(0, len(a)-1) {
		pairs[a[i:i+2]]++
	}
	common := 0
	for i := range max(0, len(b)-1) {
		if pairs[b[i:i+2]] > 0 {
			pairs[b[i:i+2]]--
			common++
		}
	}
	return 2 * float64(common) / float64(max(1, len(a)+len(b)-2))
}

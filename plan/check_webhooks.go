package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
)

func (c *checker) webhooks() {
	w := c.plan.Webhooks
	if w == nil {
		return
	}
	if p := c.plan.Provider; p != nil && p.Webhooks == nil {
		c.complain("webhooks", RuleReference, "the profile "+c.plan.Uses+" knows no webhooks of this provider", "leave webhooks out, or add them to the profile with their source")
	}
	c.tenantOf(w)
	c.extractPath("webhooks.order_by", w.OrderBy)
	if w.Ordered && w.OrderBy == "" {
		c.complain("webhooks.ordered", RuleRequired, "there is nothing to keep the order of", "write order_by: and where the resource is named, such as json:data.object.id")
	}
	for _, name := range sorted(w.Sources) {
		c.sourceOf("webhooks.sources."+name, w.Sources[name])
	}
	for _, place := range sorted(w.Echo) {
		c.extractPath("webhooks.echo."+place, place)
	}
	for i, path := range w.Redact {
		here := fmt.Sprintf("webhooks.redact[%d]", i)
		if _, err := extract.Parse("json:" + strings.ReplaceAll(path, "[*]", "")); err != nil || strings.Contains(path, ":") {
			c.complain(here, RuleValue, quote(path)+" is no path into the payload", "write keys joined with dots, [*] for each element: lines.data[*].description")
		}
	}
	for _, name := range sorted(w.Events) {
		c.event("webhooks.events."+name, w.Events[name])
	}
	if w.Reconcile != nil {
		c.onlyReads("webhooks.reconcile.list", w.Reconcile.List)
	}
}

// The words that stand in webhooks.tenant where a path would.
const (
	TenantByPath    = "path"
	TenantByAccount = "account"
)

func (c *checker) tenantOf(w *Webhooks) {
	switch w.Tenant {
	case TenantByPath:
		if len(w.Sources) > 0 {
			c.complain("webhooks.tenant", RuleConflict, "the last part of the address can't be both a tenant and a source", "leave sources out, or write each one's tenant")
		}
	case TenantByAccount:
		if p := c.plan.Provider; p != nil && p.Webhooks != nil && len(p.Webhooks.Account) == 0 {
			c.complain("webhooks.tenant", RuleReference, "the profile does not say where an event names the account", "write the place: json:a.b.c")
		}
	default:
		c.extractPath("webhooks.tenant", w.Tenant)
	}
}

func (c *checker) sourceOf(path string, s Source) {
	if s.Secret == "" {
		return
	}
	for _, name := range sorted(c.plan.Environments) {
		if known := sorted(c.plan.Environments[name].Secrets); !slices.Contains(known, s.Secret) {
			c.complain(path+".secret", RuleReference, "the environment "+name+" has no secret "+quote(s.Secret), didYouMean(s.Secret, known))
		}
	}
}

func (c *checker) event(path string, e EventHandling) {
	if e.From != "" {
		if _, err := extract.Parse("json:" + e.From); err != nil || strings.Contains(e.From, ":") {
			c.complain(path+".from", RuleValue, quote(e.From)+" is no path into the payload", "write keys joined with dots: data.object")
		}
	}
	c.refer(path+".map", e.Map, "mapping", sorted(c.plan.Mappings))
	c.deliveredTo(path+".to", e.To)
	for i, r := range e.Routes {
		here := fmt.Sprintf("%s.routes[%d]", path, i)
		c.deliveredTo(here+".to", r.To)
		for _, place := range sorted(r.When) {
			switch {
			case place == "tenant" || place == "source":
			case strings.HasPrefix(place, "query:"):
				c.complain(here+".when."+place, RuleValue, "the address that an event came by is not kept with it", "use source, or a place in the body or the header")
			default:
				c.extractPath(here+".when."+place, place)
			}
		}
	}
	if f := e.Fetch; f != nil {
		c.onlyReads(path+".fetch.endpoint", f.Endpoint)
		c.fetched(path+".fetch", f)
	}
	c.rawOnly(path, e)
}

// rawOnly checks that nothing is said about the resource where every destination
// receives the provider's own bytes: it would have no effect but to fail.
func (c *checker) rawOnly(path string, e EventHandling) {
	names := e.Destinations()
	if len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return !c.plan.Destinations[name].Raw() }) {
		return
	}
	for _, key := range []struct {
		name string
		used bool
	}{{"from", e.From != ""}, {"map", e.Map != ""}, {"fetch", e.Fetch != nil}} {
		if key.used {
			c.complain(path+"."+key.name, RuleConflict, "has no effect: "+strings.Join(names, ", ")+" receives what the provider sent (format: raw)",
				"leave it out, or write format: cloudevents at the destination")
		}
	}
}

func (c *checker) deliveredTo(path string, names catalog.OneOrMore) {
	for i, name := range names {
		here := path
		if one := fmt.Sprintf("%s[%d]", path, i); len(names) > 1 {
			here = one
		}
		c.refer(here, name, "destination", sorted(c.plan.Destinations))
	}
}

// fetched checks that everything the endpoint needs is taken from somewhere.
func (c *checker) fetched(path string, f *Fetch) {
	for _, part := range []struct {
		key    string
		places map[string]string
	}{{".path.", f.Path}, {".query.", f.Query}} {
		for _, name := range sorted(part.places) {
			c.extractPath(path+part.key+name, part.places[name])
		}
	}
	e := c.plan.Endpoints[f.Endpoint]
	if e == nil {
		return
	}
	for _, name := range e.PathVariables() {
		if _, ok := f.Path[name]; !ok {
			c.complain(path+".endpoint", RuleRequired, f.Endpoint+" needs the path variable "+quote(name), "say under path where the event names it, such as "+name+": json:data.id")
		}
	}
	for _, name := range sorted(f.Path) {
		if !slices.Contains(e.PathVariables(), name) {
			c.complain(path+".path."+name, RuleReference, f.Endpoint+" has no path variable "+quote(name), didYouMean(name, e.PathVariables()))
		}
	}
}

func (c *checker) destination(path string, d Destination) {
	if d.URL != "" {
		c.address(path+".url", d.URL, true, brokers...)
	}
	if !d.Broker() && len(d.Secret) == 0 && !c.reported(path+".secret") {
		c.complain(path+".secret", RuleRequired, "missing: deliveries are signed with it", "write secret: and a reference, such as env:BILLING_SIGNING_SECRET")
	}
	for i, ref := range d.Secret {
		here := path + ".secret"
		if one := fmt.Sprintf("%s[%d]", here, i); len(d.Secret) > 1 {
			here = one
		}
		c.secret(here, ref)
	}
	c.atLeast(path+".concurrency", d.Concurrency, 0)
}

func (c *checker) extractPath(path, s string) {
	if s == "" {
		return
	}
	if _, err := extract.Parse(s); err != nil || strings.HasPrefix(s, "config:") {
		c.complain(path, RuleValue, quote(s)+" is no path into a request", "write json:a.b.c, header:NAME, form:KEY or query:KEY")
	}
}

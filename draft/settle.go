package draft

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// fallback of a read is the last answer, where nothing of the plan decides by
// it: an old list of events, or an old state, would be worse than none (R4.11).
func (w *writer) fallbackOfReads() {
	needed := map[string]bool{}
	for _, e := range w.plan.Endpoints {
		if e.OnConflict != nil {
			needed[e.OnConflict.Read] = true
		}
		if e.OnUnknown != nil {
			needed[e.OnUnknown.Find] = true
		}
	}
	if hooks := w.plan.Webhooks; hooks != nil && hooks.Reconcile != nil {
		needed[hooks.Reconcile.List] = true
	}
	for _, p := range w.chooser.picks {
		name := w.names[p.op]
		if e := w.plan.Endpoints[name]; e.Effect == plan.EffectRead && p.op.Method == http.MethodGet && !needed[name] && !w.followed(p.op) {
			e.Fallback = "cached"
		}
	}
}

// followed reports whether the state of an operation's resource is followed, or
// written by the plan: then an old answer is a wrong one.
func (w *writer) followed(o *operation) bool {
	if slices.ContainsFunc(w.chooser.follow, func(f *operation) bool { return f.group == o.group }) {
		return true
	}
	return slices.ContainsFunc(w.chooser.picks, func(p *pick) bool {
		return p.op.group == o.group && p.op.Method != http.MethodGet
	})
}

// conflicts says how an update that came too late is settled (R4.5), where the
// document shows what the provider compares and the plan reads the resource.
func (w *writer) conflicts() {
	for _, p := range w.chooser.picks {
		o := p.op
		e := w.plan.Endpoints[w.names[o]]
		if e.Effect != plan.EffectUpdate || o.Method == http.MethodDelete || o.Request == nil {
			continue
		}
		reader := w.reader(o)
		if reader == nil {
			continue
		}
		version := w.comparedVersion(o, reader)
		if version == nil {
			continue
		}
		e.OnConflict = &plan.OnConflict{Read: w.names[reader], Keep: "ours", Version: version}
		w.ask("endpoint."+w.names[o]+".on_conflict", "When both sides changed the same field, do your values stand? The plan says so; list fields of the provider's under fields, or write keep: fail.", "")
	}
}

// reader is the picked operation that reads what another one writes.
func (w *writer) reader(o *operation) *operation {
	for _, p := range w.chooser.picks {
		if p.op.Method == http.MethodGet && p.op.Path == o.Path {
			return p.op
		}
	}
	return nil
}

// versionFields are what providers call the field that they compare.
var versionFields = []string{"version", "etag", "_etag", "revision", "_rev", "rev", "lock_version", "lockVersion", "SyncToken", "sync_token"}

// comparedVersion is what the provider compares to notice that a writer was
// late: an If-Match header, or a field of both request and answer.
func (w *writer) comparedVersion(o, reader *operation) *plan.FreshVersion {
	if slices.ContainsFunc(o.Parameters, func(p openapi.Parameter) bool {
		return p.In == "header" && strings.EqualFold(p.Name, "If-Match")
	}) {
		return &plan.FreshVersion{From: "header.ETag"}
	}
	_, state := answer(w.doc, reader)
	for _, name := range versionFields {
		if property(w.chooser.properties(o.Request.Schema), name) && property(w.chooser.properties(state), name) {
			return &plan.FreshVersion{From: "body." + name}
		}
	}
	return nil
}

func property(list []openapi.Property, name string) bool {
	return slices.ContainsFunc(list, func(p openapi.Property) bool { return p.Name == name })
}

// finder is how a thing is found that may have been made without an answer.
type finder struct {
	list           *operation
	field          string // of the thing and of the request
	items, created string // in the list's answer, and in an item
	query          bool   // the list can be asked for the field
}

// finders takes a list for each create that carries no idempotency key, where a
// field tells the thing apart (R4.7).
func (w *writer) finders() {
	w.found = map[*operation]*finder{}
	for _, p := range slices.Clone(w.chooser.picks) {
		if p.op.kind != kindCreate || p.op.Method != http.MethodPost || p.op.Request == nil || w.idempotent(p.op.Method) {
			continue
		}
		if e, _ := effect(p.op, false); e != plan.EffectCreate {
			continue
		}
		f := w.finder(p.op)
		if f == nil {
			continue
		}
		w.found[p.op] = f
		w.chooser.take(nil, f.list, "finds what "+p.op.Call()+" made when no answer came")
	}
}

// telling are fields that tell one thing from another, the surest first.
var telling = []string{
	"external_id", "externalId", "external_reference", "reference_id", "referenceId", "client_reference_id", "merchant_reference", "reference",
	"idempotency_key", "request_id", "order_id", "order_number", "email", "email_address", "phone", "username", "slug", "key", "sku", "domain",
}

func (w *writer) finder(o *operation) *finder {
	for _, list := range w.chooser.index.ops {
		if list.Method != http.MethodGet || list.Path != o.Path || list.old {
			continue
		}
		items, item, ok := w.listed(list)
		if !ok {
			return nil
		}
		fields := w.chooser.properties(item)
		for _, name := range telling {
			if !property(fields, name) || !property(w.chooser.properties(o.Request.Schema), name) {
				continue
			}
			f := &finder{list: list, field: name, items: items}
			f.query = slices.ContainsFunc(list.Parameters, func(p openapi.Parameter) bool { return p.In == "query" && p.Name == name })
			for _, c := range []string{"created", "created_at", "createdAt", "date_created", "creation_date"} {
				if f.created == "" && property(fields, c) {
					f.created = c
				}
			}
			// Without a filter only a thing made just now is told apart.
			if f.query || f.created != "" {
				return f
			}
		}
	}
	return nil
}

// listed finds the list in the answer of an operation: its path, empty where the
// answer is the list, and the schema of an item.
func (w *writer) listed(o *operation) (path string, item *openapi.Schema, ok bool) {
	body := o.Responses["200"]
	if body == nil || body.Schema == nil {
		return "", nil, false
	}
	s := w.doc.Resolve(body.Schema)
	if s.Items != nil {
		return "", w.doc.Resolve(s.Items), true
	}
	for _, p := range w.chooser.properties(s) {
		if inner := w.doc.Resolve(p.Schema); inner.Items != nil && len(w.chooser.properties(inner.Items)) > 0 && plainName.MatchString(p.Name) {
			return escape(p.Name), w.doc.Resolve(inner.Items), true
		}
	}
	return "", nil, false
}

// unknown writes how it is found out what became of a call without an answer.
func (w *writer) unknown() {
	for o, f := range w.found {
		e, name := w.plan.Endpoints[w.names[o]], w.names[f.list]
		if e == nil || name == "" || e.Effect != plan.EffectCreate || e.Idempotency != nil {
			continue
		}
		u := &plan.OnUnknown{Find: name, Items: f.items, Match: map[string]string{f.field: "body." + f.field}, Created: f.created}
		if f.query {
			u.Query = map[string]string{f.field: "body." + f.field}
		}
		u.More = w.more(f.list)
		e.OnUnknown = u
	}
}

// more is the field that says that a list goes on, as the profile has it, where
// the answer shows it.
func (w *writer) more(list *operation) string {
	page := w.profile.Pagination
	body := list.Responses["200"]
	for _, path := range []string{page.More, page.Cursor} {
		first, _, _ := strings.Cut(path, ".")
		if path != "" && body != nil && body.Schema != nil && property(w.chooser.properties(body.Schema), first) {
			return path
		}
	}
	return ""
}

package conflict

import (
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// RulesOf are the rules of an endpoint's plan; ok is false when it declares no
// on_conflict.
func RulesOf(e *plan.Endpoint) (rules Rules, ok bool) {
	o := e.OnConflict
	if o == nil {
		return Rules{}, false
	}
	rules = Rules{
		Keep: Keep(o.Keep), State: o.State,
		Replaces: e.Method() == "PUT", Untyped: e.Encoding == catalog.EncodingForm,
	}
	if len(o.Fields) > 0 {
		rules.Fields = make(map[string]Keep, len(o.Fields))
		for field, keep := range o.Fields {
			rules.Fields[field] = Keep(keep)
		}
	}
	if v := o.Version; v != nil {
		rules.Version = Version{From: v.From, To: v.To}
	}
	return rules, true
}

// LookupOf is how the plan of an endpoint finds the trace of a call; find is the
// endpoint to ask. ok is false when it declares no on_unknown.
func LookupOf(p *plan.Plan, e *plan.Endpoint) (l Lookup, find *plan.Endpoint, ok bool) {
	o := e.OnUnknown
	if o == nil || p.Endpoints[o.Find] == nil {
		return Lookup{}, nil, false
	}
	find = p.Endpoints[o.Find]
	path := map[string]string{}
	for _, name := range find.PathVariables() {
		path[name] = "path." + name
		if from, told := o.Path[name]; told {
			path[name] = from
		}
	}
	return Lookup{
		Path: path, Query: o.Query, Items: o.Items, Match: o.Match,
		Created: o.Created, More: o.More, After: time.Duration(o.After),
	}, find, true
}

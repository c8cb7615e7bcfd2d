package draft

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// envelopes are the names of a field that holds the resource itself, beside
// little that is about the exchange: {"data": {…}, "meta": {…}}.
var envelopes = set("data result resource response item object record payload")

// fewBeside is how much may stand beside the resource in an envelope.
const fewBeside = 3

// opened returns what an answer or a request of an operation is about: the schema
// itself with an empty field, or what stands in the one field of its envelope,
// with the name of that component. The field may bear the resource's name.
func (w *writer) opened(o *operation, s *openapi.Schema) (field, component string, inner *openapi.Schema) {
	list := w.chooser.properties(s)
	resource := snake(singular(o.noun))
	at := slices.IndexFunc(list, func(p openapi.Property) bool { return envelopes[p.Name] || snake(p.Name) == resource })
	if at < 0 || len(list) > 1+fewBeside {
		return "", "", s
	}
	component, inner = element(w.doc, list[at].Schema, false)
	if len(w.chooser.properties(inner)) < 2 {
		return "", "", s
	}
	for i, p := range list {
		if i != at && len(w.chooser.properties(p.Schema)) > fewBeside {
			return "", "", s
		}
	}
	return list[at].Name, component, inner
}

// inEnvelope puts the field of the envelope before the provider's paths.
func inEnvelope(field string, rows []plan.MappingRow) []plan.MappingRow {
	if field == "" {
		return rows
	}
	prefix := escape(field) + "."
	for i := range rows {
		rows[i].External = prefix + rows[i].External
		if inner, ok := strings.CutPrefix(rows[i].Transform, "money("); ok {
			rows[i].Transform = "money(" + prefix + inner
		}
	}
	return rows
}

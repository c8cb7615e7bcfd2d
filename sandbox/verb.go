package sandbox

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
)

// outcomes are statuses that words of paths lead to and that are not the word's
// past tense, in the order they are looked for.
var outcomes = map[string][]string{
	"accept":     {"accepted", "active"},
	"activate":   {"active"},
	"archive":    {"archived", "inactive"},
	"capture":    {"captured", "succeeded"},
	"close":      {"closed"},
	"complete":   {"complete", "completed"},
	"confirm":    {"confirmed", "succeeded", "processing"},
	"deactivate": {"inactive"},
	"finalize":   {"finalized", "open"},
	"pay":        {"paid", "succeeded"},
	"publish":    {"published", "active"},
	"reactivate": {"active"},
	"resume":     {"active"},
	"unarchive":  {"active"},
	"verify":     {"verified", "active"},
}

// statusNames are what APIs call the state of an object.
var statusNames = []string{"status", "state"}

// statusAfter is the status an action leads to, and the property that holds it;
// both empty when the schema has no natural value.
func (m *model) statusAfter(s *openapi.Schema, verb string) (property, status string) {
	candidates := slices.Concat(outcomes[verb], past(verb), []string{verb})
	if _, rest, compound := strings.Cut(verb, "_"); compound { // mark_uncollectible
		candidates = append(candidates, rest)
	}
	for _, name := range statusNames {
		p := m.schema(m.property(s, name))
		if p == nil {
			continue
		}
		for _, c := range candidates {
			if slices.Contains(p.Enum, c) {
				return name, c
			}
		}
	}
	return "", ""
}

var irregular = map[string]string{"pay": "paid", "send": "sent", "hold": "held", "put": "put", "set": "set", "submit": "submitted", "ship": "shipped", "buy": "bought"}

// past gives the ways in which an action's past tense may be written. Of
// several words the first is the verb: mark_uncollectible, marked_uncollectible.
func past(verb string) []string {
	first, rest, compound := strings.Cut(verb, "_")
	if compound {
		rest = "_" + rest
	}
	var forms []string
	switch {
	case irregular[first] != "":
		forms = []string{irregular[first]}
	case strings.HasSuffix(first, "e"):
		forms = []string{first + "d"}
	case strings.HasSuffix(first, "y"):
		forms = []string{strings.TrimSuffix(first, "y") + "ied", first + "ed"}
	case strings.HasSuffix(first, "l"): // American, British
		forms = []string{first + "ed", first + "led"}
	default:
		forms = []string{first + "ed"}
	}
	for i := range forms {
		forms[i] += rest
	}
	return forms
}

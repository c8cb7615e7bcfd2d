package plan

import "github.com/sallyport/sallyport/catalog"

// Recalled is a part of the profile that the plan rests on, that is known from
// memory only and that nobody has confirmed (R0.1).
type Recalled struct {
	Section catalog.Section
	Fields  []string // of the section; empty is all of it
}

// Recalled lists what of the profile has to be confirmed before anyone relies on
// the plan, in the order of the profile. A fact whose confidence is not said
// counts as recalled. A plan without a Provider has none.
func (p *Plan) Recalled() []Recalled {
	if p.Provider == nil {
		return nil
	}
	var list []Recalled
	for _, s := range p.Provider.Sections() {
		if _, confirmed := p.Confirmed(s.Name); confirmed || !p.uses(s) {
			continue
		}
		switch {
		case s.Provenance.Confidence == catalog.Recalled || s.Provenance.Confidence == "":
			list = append(list, Recalled{Section: s})
		case len(s.Provenance.Unsure) > 0:
			list = append(list, Recalled{Section: s, Fields: s.Provenance.Unsure})
		}
	}
	return list
}

// uses reports whether anything the plan does rests on a section of the profile.
// What only informs (sdk, document, service) is never waited for.
func (p *Plan) uses(s catalog.Section) bool {
	switch s.Name {
	case "api", "limits", "errors":
		return true
	case "auth":
		for i := range p.Provider.Auth {
			if a := &p.Provider.Auth[i]; s.Provenance == &a.Provenance {
				return a.Kind == p.Auth.Use
			}
		}
	case "idempotency":
		for _, e := range p.Endpoints {
			if e != nil && e.Idempotency != nil {
				return true
			}
		}
	case "pagination":
		return p.Webhooks != nil && p.Webhooks.Reconcile != nil
	case "webhooks":
		return p.Webhooks != nil
	case "sandbox":
		// With an address of its own an environment does not go there.
		for name, e := range p.Environments {
			if !Production(name) && e.BaseURL == "" {
				return true
			}
		}
	}
	return false
}

package catalog

import "fmt"

// Section is one part of a profile together with where its facts are from.
type Section struct {
	// Name is the section as a plan's profile.confirmed spells it: api, auth,
	// limits, errors, idempotency, pagination, webhooks, sandbox, sdk, service,
	// document.
	Name string
	// Path is its place in the profile file: the name, or auth[1].
	Path string
	// Provenance points into the profile.
	Provenance *Provenance
}

// Sections lists the sections of the profile in the order of the file. There is
// one for each way to authenticate, and none for webhooks where the provider
// sends none.
func (p *Profile) Sections() []Section {
	list := []Section{
		{"api", "api", &p.API.Provenance},
		{"sdk", "sdk", &p.SDK.Provenance},
		{"document", "document", &p.Document.Provenance},
	}
	for i := range p.Auth {
		list = append(list, Section{"auth", fmt.Sprintf("auth[%d]", i), &p.Auth[i].Provenance})
	}
	list = append(
		list,
		Section{"limits", "limits", &p.Limits.Provenance},
		Section{"errors", "errors", &p.Errors.Provenance},
		Section{"idempotency", "idempotency", &p.Idempotency.Provenance},
		Section{"pagination", "pagination", &p.Pagination.Provenance},
	)
	if p.Webhooks != nil {
		list = append(list, Section{"webhooks", "webhooks", &p.Webhooks.Provenance})
	}
	return append(
		list,
		Section{"sandbox", "sandbox", &p.Sandbox.Provenance},
		Section{"service", "service", &p.Service.Provenance},
	)
}

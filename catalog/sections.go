package catalog

import (
	"fmt"
	"reflect"
)

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

	filled bool // some field beside the provenance is set
}

// Empty reports whether nothing at all is known about what the section is for.
func (s Section) Empty() bool {
	return s.Provenance.Note == "" && !s.filled
}

// Sections lists the sections of the profile in the order of the file. There is
// one for each way to authenticate, and none for webhooks where the provider
// sends none.
func (p *Profile) Sections() []Section {
	list := []Section{
		section("api", "api", &p.API, &p.API.Provenance),
		section("sdk", "sdk", &p.SDK, &p.SDK.Provenance),
		section("document", "document", &p.Document, &p.Document.Provenance),
	}
	for i := range p.Auth {
		list = append(list, section("auth", fmt.Sprintf("auth[%d]", i), &p.Auth[i], &p.Auth[i].Provenance))
	}
	list = append(
		list,
		section("limits", "limits", &p.Limits, &p.Limits.Provenance),
		section("errors", "errors", &p.Errors, &p.Errors.Provenance),
		section("idempotency", "idempotency", &p.Idempotency, &p.Idempotency.Provenance),
		section("pagination", "pagination", &p.Pagination, &p.Pagination.Provenance),
	)
	if p.Webhooks != nil {
		list = append(list, section("webhooks", "webhooks", p.Webhooks, &p.Webhooks.Provenance))
	}
	return append(
		list,
		section("sandbox", "sandbox", &p.Sandbox, &p.Sandbox.Provenance),
		section("service", "service", &p.Service, &p.Service.Provenance),
	)
}

func section(name, path string, of any, p *Provenance) Section {
	v := reflect.ValueOf(of).Elem()
	filled := false
	for i := range v.NumField() {
		if !v.Type().Field(i).Anonymous && !v.Field(i).IsZero() && (v.Field(i).Kind() != reflect.Slice || v.Field(i).Len() > 0) {
			filled = true
		}
	}
	return Section{Name: name, Path: path, Provenance: p, filled: filled}
}

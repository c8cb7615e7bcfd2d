package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
)

// study is the first step: what is known of the provider, how well, and what was
// asked of its documentation (R1.1, R1.3, R0.1).
func (w *writer) study() {
	pr := w.provider
	w.section("provider", "Step 1: Study the API")
	profile := codeSpan(pr.ID)
	w.say("Profile ", profile, t(", "+pr.Category), "; documentation: ", linkSpan(pr.Docs), "; API: ", linkSpan(pr.API.BaseURL), ".")
	w.research()
	if w.doc != nil && len(w.doc.Defects) > 0 {
		w.say("The API document was read with ", strongSpan(count(len(w.doc.Defects), "defect")), "; the first: ", w.doc.Defects[0].Message, " (", codeSpan(w.doc.Defects[0].Where), ").")
	}
	var rows [][]text
	for _, s := range w.sections() {
		rows = append(rows, []text{t(codeSpan(s.Path)), confidenceText(s.Provenance), sourcesText(s.Provenance.Source), w.confirmedText(s.Name), t(s.Provenance.Note)})
	}
	w.part("sources", "Where the facts are from")
	w.details("Sections of the profile that the plan rests on", []string{"Section", "How well known", "Source", "Confirmed", "Note"}, rows)
	w.considered()
}

// research answers each line of the research checklist, or says that it is open
// and where to look.
func (w *writer) research() {
	pr := w.provider
	var rows [][]text
	ask := func(what string, p *catalog.Provenance, section string, answer text) {
		known := t(shortConfidence(p))
		if c, ok := w.plan.Confirmed(section); ok {
			known = t("confirmed ", c.On)
		}
		if len(answer) == 0 {
			answer, known = t(strongSpan("open")), t("look in the documentation")
		}
		rows = append(rows, []text{t(what), answer, known})
	}
	api := &pr.API.Provenance
	version := text(nil)
	if pr.API.Version != "" {
		version = t(codeSpan(pr.API.Version))
		if pin := pr.API.VersionPin; pin != nil {
			version = t(version, ", asked for in ", pin.In, " ", codeSpan(pin.Name))
		}
	}
	ask("Version", api, "api", version)
	ask("Format", api, "api", w.formatText())
	var kinds []string
	var authFrom *catalog.Provenance
	for i := range pr.Auth {
		if kind := kindWords(pr.Auth[i].Kind); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
		if authFrom == nil || pr.Auth[i].Kind == w.plan.Auth.Use {
			authFrom = &pr.Auth[i].Provenance
		}
	}
	ask("Credentials it takes", authFrom, "auth", t(strings.Join(kinds, ", ")))
	ask("Limits", &pr.Limits.Provenance, "limits", limitsText(pr.Limits.List))
	ask("Burst", &pr.Limits.Provenance, "limits", burstText(pr.Limits.List))
	ask("Idempotency key on POST", &pr.Idempotency.Provenance, "idempotency", idempotencyText(pr.Idempotency))
	ask("Errors", &pr.Errors.Provenance, "errors", places(pr.Errors.CodePath, pr.Errors.CodeAlso, pr.Errors.CodeHeader))
	ask("Pages of a list", &pr.Pagination.Provenance, "pagination", w.paginationText())
	hooks, hooksFrom := t("the profile knows of none"), api
	if pr.Webhooks != nil {
		hooks, hooksFrom = t(schemeText(pr.Webhooks.Verify)), &pr.Webhooks.Provenance
	}
	ask("Webhooks", hooksFrom, "webhooks", hooks)
	ask("Test environment", &pr.Sandbox.Provenance, "sandbox", sandboxText(pr.Sandbox))
	ask("Libraries", &pr.SDK.Provenance, "sdk", sdkText(pr.SDK))
	ask("Promised availability", &pr.Service.Provenance, "service", t(pr.Service.SLA))
	ask("Price", &pr.Service.Provenance, "service", t(pr.Service.Pricing))
	ask("Status page", &pr.Service.Provenance, "service", t(linkSpan(pr.Service.StatusPage)))
	ask("API document", &pr.Document.Provenance, "document", w.documentText())
	w.table("What was asked of the documentation", []string{"What", "Answer", "Known"}, rows)
}

// shortConfidence is how well a section is known, in two words.
func shortConfidence(p *catalog.Provenance) string {
	if p == nil {
		return "from memory"
	}
	words := map[catalog.Confidence]string{catalog.Documented: "documented", catalog.FromSDK: "from its SDK", catalog.FromRepo: "from a repository"}
	s, ok := words[p.Confidence]
	switch {
	case !ok:
		return "from memory"
	case len(p.Unsure) > 0:
		return s + ", in part from memory"
	}
	return s
}

func (w *writer) formatText() text {
	api := w.provider.API
	if api.Request == "" {
		return nil
	}
	out := t("bodies sent as ", string(api.Request), ", answered as ", orUnknown(string(api.Response)))
	if api.Style != "" {
		out = t(out, " (", api.Style, ")")
	}
	for _, name := range names(api.Headers) {
		out = t(out, "; every request carries ", codeSpan(name+": "+api.Headers[name]))
	}
	return out
}

func limitsText(list []catalog.Limit) text {
	parts := make([]text, 0, len(list))
	for _, l := range list {
		unit := cmp.Or(l.Unit, "requests")
		if unit == "concurrent" {
			parts = append(parts, t(number(l.Limit), " at once"))
			continue
		}
		parts = append(parts, t(number(l.Limit), " ", unit, " per ", seconds(l.Window)))
	}
	const few = 3
	if more := len(parts) - few; more > 0 {
		parts = append(parts[:few], t(number(more), " more in step 4"))
	}
	return joined(parts, ", ")
}

func burstText(list []catalog.Limit) text {
	var parts []text
	for _, l := range list {
		if l.Burst > 0 {
			parts = append(parts, t(number(l.Burst), " at once of ", codeSpan(l.Name)))
		}
	}
	if len(parts) == 0 && len(list) > 0 {
		return t("no number of its own: the whole of a window may come at once")
	}
	return joined(parts, ", ")
}

func idempotencyText(i catalog.Idempotency) text {
	where := t(codeSpan(i.Header))
	switch {
	case i.Header != "":
		where = t("header ", where)
	case i.Param != "":
		where = t(codeSpan(i.Param))
	default:
		return nil
	}
	if len(i.Methods) > 0 {
		where = t(where, " on ", codes(i.Methods))
	}
	if i.KeepHours > 0 {
		where = t(where, ", remembered for ", seconds(i.KeepHours*3600))
	}
	if i.MaxLength > 0 {
		where = t(where, ", at most ", number(i.MaxLength), " characters")
	}
	return where
}

func sdkText(sdk catalog.SDK) text {
	var parts []text
	for _, name := range []string{sdk.Go, sdk.NPM} {
		if name != "" {
			parts = append(parts, t(codeSpan(name)))
		}
	}
	return joined(parts, ", ")
}

// considered are the near misses of choosing operations (R8.2).
func (w *writer) considered() {
	if len(w.plan.Considered) == 0 {
		return
	}
	w.part("considered", "Considered and not used")
	rows := make([][]text, len(w.plan.Considered))
	for i, c := range w.plan.Considered {
		rows[i] = []text{t(codeSpan(c.Call)), t(c.WhyNot)}
	}
	w.details("Operations that came close", []string{"Operation", "Why not"}, rows)
}

func orUnknown(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}

func confidenceText(p *catalog.Provenance) text {
	words := map[catalog.Confidence]string{
		catalog.Documented: "documented by the provider",
		catalog.FromSDK:    "read in the provider's SDK",
		catalog.FromRepo:   "read in a public repository",
	}
	s, ok := words[p.Confidence]
	if !ok {
		return t(strongSpan("from memory"))
	}
	if len(p.Unsure) > 0 {
		return t(s, "; ", strongSpan("from memory"), ": ", codes(p.Unsure))
	}
	return t(s)
}

func sourcesText(sources []string) text {
	parts := make([]text, len(sources))
	for i, s := range sources {
		parts[i] = t(linkSpan(s))
	}
	return joined(parts, ", ")
}

func (w *writer) confirmedText(section string) text {
	c, ok := w.plan.Confirmed(section)
	if !ok {
		return t("no")
	}
	out := t("on ", c.On, " by ", c.By)
	if c.Source != "" {
		out = t(out, ", ", linkSpan(c.Source))
	}
	return out
}

func (w *writer) paginationText() text {
	p := w.provider.Pagination
	if p.Style == "" {
		return nil
	}
	out := t(strings.ReplaceAll(p.Style, "_", " "))
	if len(p.Params) > 0 {
		out = t(out, ", by ", codes(p.Params))
	}
	if p.MaxPage > 0 {
		out = t(out, fmt.Sprintf(", at most %d a page", p.MaxPage))
	}
	return out
}

func sandboxText(s catalog.Sandbox) text {
	var out text
	switch s.Kind {
	case "":
		return nil
	case "none":
		return t("the provider has none")
	case "key_prefix":
		out = t("same address; the key decides")
	case "host":
		out = t("an address of its own")
	case "workspace":
		out = t("a workspace of its own")
	case "account":
		out = t("an account of its own")
	case "flag":
		out = t("a flag on each request")
	case "test_data":
		out = t("test data in the live account")
	case "local":
		out = t("a program that runs on your machine")
	default:
		out = t(s.Kind)
	}
	if s.BaseURL != "" {
		out = t(out, ", ", linkSpan(s.BaseURL))
	}
	return out
}

// documentText tells which API document the plan pins and whether it was read.
func (w *writer) documentText() text {
	spec := w.plan.Profile.Spec
	if spec == nil && w.doc == nil {
		return t("none is pinned")
	}
	var out text
	if spec != nil {
		out = t(codeSpan(spec.File))
		if spec.SHA256 != "" {
			out = t(out, ", SHA-256 ", codeSpan(spec.SHA256))
		} else {
			out = t(out, ", not pinned by a hash")
		}
	}
	if w.doc == nil {
		return t(out, "; it was not read for this document")
	}
	if len(out) > 0 {
		out = t(out, "; read: ")
	}
	out = t(out, w.doc.Title, " ", w.doc.Version, " (", w.doc.Format, ", ", count(len(w.doc.Operations), "operation"), ")")
	if !spec.Matches(w.doc.SHA256) {
		out = t(out, ". ", strongSpan("Its hash is not the pinned one"), ": ", codeSpan(w.doc.SHA256))
	}
	return out
}

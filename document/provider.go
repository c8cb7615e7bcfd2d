package document

import (
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// profile shows the provider's facts and how well each is known (R0.1).
func (w *writer) profile() {
	pr := w.provider
	w.section("provider", "Provider profile")
	var f facts
	f.add("Profile", codeSpan(pr.ID), ", ", pr.Category)
	f.add("Documentation", linkSpan(pr.Docs))
	f.add("API", linkSpan(pr.API.BaseURL))
	if pin := pr.API.VersionPin; pin != nil && pr.API.Version != "" {
		f.add("Version", codeSpan(pr.API.Version), ", asked for in ", pin.In, " ", codeSpan(pin.Name))
	}
	if pr.API.Request != "" {
		f.add("Bodies", fmt.Sprintf("sent as %s, answered as %s", pr.API.Request, orUnknown(string(pr.API.Response))))
	}
	f.add("Pages of a list", w.paginationText())
	f.add("Test environment", sandboxText(pr.Sandbox))
	f.add("Status page", linkSpan(pr.Service.StatusPage))
	f.add("Promised availability", pr.Service.SLA)
	f.add("Price", pr.Service.Pricing)
	f.add("API document", w.documentText())
	w.table("The provider", []string{"What", "Fact"}, f)
	if w.doc != nil && len(w.doc.Defects) > 0 {
		w.say("The API document was read with ", strongSpan(count(len(w.doc.Defects), "defect")), "; the first: ", w.doc.Defects[0].Message, " (", codeSpan(w.doc.Defects[0].Where), ").")
	}

	var rows [][]text
	for _, s := range w.sections() {
		rows = append(rows, []text{t(codeSpan(s.Path)), confidenceText(s.Provenance), sourcesText(s.Provenance.Source), w.confirmedText(s.Name), t(s.Provenance.Note)})
	}
	w.part("sources", "Where the facts are from")
	w.table("Sections of the profile", []string{"Section", "How well known", "Source", "Confirmed", "Note"}, rows)
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

func kindWords(kind string) string {
	words := map[string]string{
		"api_key": "API key", "basic": "user name and password (HTTP Basic)", "oauth2": "OAuth 2.0 authorization code",
		"client_credentials": "OAuth 2.0 client credentials", "jwt": "signed token (JWT)",
	}
	if s, ok := words[kind]; ok {
		return s
	}
	return kind
}

// auth tells how a request proves who sends it, per environment.
func (w *writer) auth() {
	w.section("authentication", "Authentication")
	var ways []catalog.Auth
	for _, a := range w.provider.Auth {
		if a.Kind == w.plan.Auth.Use {
			ways = append(ways, a)
		}
	}
	var steps []text
	for i, a := range ways {
		way := authText(a)
		if len(ways) > 1 {
			way = t(fmt.Sprintf("Way %d of %d in the profile: ", i+1, len(ways)), way)
		}
		steps = append(steps, way)
	}
	if len(ways) == 0 {
		steps = append(steps, t("The profile does not describe credentials of the kind ", codeSpan(w.plan.Auth.Use), "."))
	}
	steps = append(steps, t("Secrets stand in the plan by reference only. The gateway reads them where they are kept and puts the credential on a request just before it is sent."))
	if w.plan.Auth.RotateEvery != 0 {
		steps = append(steps, t("A credential is replaced every ", strongSpan(w.plan.Auth.RotateEvery.String()), w.pending("auth.rotate_every"), ". Several references of one secret are valid at once while it is replaced."))
	} else {
		steps = append(steps, t(strongSpan("The plan does not say how often a credential is replaced.")))
	}
	steps = append(steps, t("A 401 leads to: ", w.plan.ErrorPolicy("401").Words(), "."))
	w.list(numbers, steps...)

	var rows [][]text
	for _, name := range names(w.plan.Environments) {
		env := w.plan.Environments[name]
		base := t(linkSpan(env.BaseURL))
		if env.BaseURL == "" {
			base = t(linkSpan(w.provider.API.BaseURL), " (profile)")
		}
		var secrets []text
		for _, secret := range names(env.Secrets) {
			secrets = append(secrets, t(codeSpan(secret), " from ", references(env.Secrets[secret])))
		}
		kind := "test"
		if plan.Production(name) {
			kind = "live"
		}
		rows = append(rows, []text{t(codeSpan(name)), t(kind), base, joined(secrets, "; ")})
	}
	w.table("Environments and their secrets", []string{"Environment", "Keys", "API address", "Secrets"}, rows)
	for _, a := range ways {
		var begins []text
		if len(a.LivePrefix) > 0 {
			begins = append(begins, t("a live key begins with ", codes(a.LivePrefix), " and is refused outside of production"))
		}
		if len(a.TestPrefix) > 0 {
			begins = append(begins, t("a test key begins with ", codes(a.TestPrefix)))
		}
		if len(begins) > 0 {
			w.say("How keys are told apart: ", joined(begins, "; "), ".")
		}
	}
}

// authText says where one kind of credential goes.
func authText(a catalog.Auth) text {
	switch a.Kind {
	case "api_key":
		value := a.Prefix + "…"
		if a.In == "query" {
			return t("Each request carries the key in the query parameter ", codeSpan(a.Name), ".")
		}
		return t("Each request carries the header ", codeSpan(a.Name+": "+value), ", where … is the key.")
	case "basic":
		return t("Each request carries HTTP Basic credentials: user name ", half(a.Username), ", password ", half(a.Password), ".")
	}
	o := a.OAuth
	if o == nil {
		return t("The credential is of the kind ", kindWords(a.Kind), ".")
	}
	out := t(kindWords(a.Kind), ": ")
	if o.AuthorizeURL != "" {
		out = t(out, "the customer consents at ", linkSpan(o.AuthorizeURL), ", then ")
	}
	out = t(out, "a token is fetched from ", linkSpan(o.TokenURL))
	if o.AccessSeconds > 0 {
		out = t(out, ", which is valid for ", seconds(o.AccessSeconds))
	}
	if o.Rotates != "" {
		out = t(out, "; refresh tokens change: ", o.Rotates)
	}
	if o.RevokeURL != "" {
		out = t(out, "; it is revoked at ", linkSpan(o.RevokeURL))
	}
	return t(out, ".")
}

// half is one half of HTTP Basic credentials as the profile describes it.
func half(s string) text {
	switch s {
	case "":
		return t("empty")
	case "{secret}":
		return t("the secret")
	}
	return t(codeSpan(s))
}

// references shows where secrets are kept. What is no reference may be the
// secret itself and is not shown (R2.10).
func references(list []string) text {
	parts := make([]text, len(list))
	for i, ref := range list {
		kind, _, found := strings.Cut(ref, ":")
		switch {
		case found && (kind == "env" || kind == "file" || kind == "vault" || kind == "ssm"):
			parts[i] = t(codeSpan(ref))
		default:
			parts[i] = t(strongSpan("not a reference, not shown"))
		}
	}
	return joined(parts, ", ")
}

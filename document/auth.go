package document

import (
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

func kindWords(kind string) string {
	words := map[string]string{
		"api_key": "API key", "basic": "user name and password (HTTP Basic)", "oauth2": "OAuth 2.0 authorization code",
		"client_credentials": "OAuth 2.0 client credentials", "jwt": "signed token (JWT)", "password": "OAuth 2.0 password grant",
		"jwt_bearer": "signed assertion (JWT bearer)", "oauth1": "OAuth 1.0a", "custom": "a procedure of the provider's own",
	}
	if s, ok := words[kind]; ok {
		return s
	}
	return kind
}

// auth tells how a request proves who sends it, per environment.
func (w *writer) auth() {
	w.section("authentication", "Step 2: Authentication")
	ways := w.ways()
	w.authDiagram(ways)
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

// ways are those of the profile that have the kind the plan uses.
func (w *writer) ways() []catalog.Auth {
	var ways []catalog.Auth
	for _, a := range w.provider.Auth {
		if a.Kind == w.plan.Auth.Use {
			ways = append(ways, a)
		}
	}
	return ways
}

// authDiagram draws how a credential comes to be on a request (R2).
func (w *writer) authDiagram(ways []catalog.Auth) {
	d := diagram{title: "From the credential to an authorised call", actors: w.actors()}
	if len(w.pending("auth.credential")) > 0 {
		d.title += " (not acted upon yet)"
	}
	say := func(from, to int, label string) { d.steps = append(d.steps, step{from: from, to: to, label: label}) }
	answer := func(from, to int, label string) {
		d.steps = append(d.steps, step{from: from, to: to, label: label, answer: true})
	}
	var o catalog.OAuth
	if len(ways) > 0 && ways[0].OAuth != nil {
		o = *ways[0].OAuth
	}
	switch w.plan.Auth.Use {
	case "oauth2":
		say(actorProduct, actorGateway, "connect a customer")
		answer(actorGateway, actorProduct, "address of the consent page"+pkceWords(o.PKCE))
		say(actorProduct, actorProvider, "the customer consents")
		say(actorProvider, actorGateway, "callback: code and state, used once")
		say(actorGateway, actorProvider, "exchange the code")
		answer(actorProvider, actorGateway, "access and refresh token")
		say(actorGateway, actorGateway, "seal both, then use them; refresh once for all callers before the end"+lifeWords(o.AccessSeconds))
	case "client_credentials", "jwt":
		say(actorGateway, actorGateway, "read the secret where it is kept"+map[bool]string{true: ", sign a token"}[w.plan.Auth.Use == "jwt"])
		if w.plan.Auth.Use == "client_credentials" {
			say(actorGateway, actorProvider, "ask for a token")
			answer(actorProvider, actorGateway, "access token"+lifeWords(o.AccessSeconds))
		}
	default:
		say(actorGateway, actorGateway, "at start: read the secret where it is kept, refuse a live key outside of production")
	}
	say(actorProduct, actorGateway, "a call")
	say(actorGateway, actorProvider, "the request with its credential")
	answer(actorProvider, actorGateway, "the answer, or 401")
	say(actorGateway, actorGateway, "on 401: "+w.plan.ErrorPolicy("401").Words()+" with a credential read again; still 401: the call fails and says why")
	answer(actorGateway, actorProduct, "the answer")
	w.page.blocks = append(w.page.blocks, d)
}

func pkceWords(pkce string) string {
	if pkce == "yes" || pkce == "required" || pkce == "optional" {
		return ", with state and PKCE"
	}
	return ", with state"
}

func lifeWords(n int) string {
	if n == 0 {
		return ""
	}
	return " (" + seconds(n) + ")"
}

// authText says where one kind of credential goes.
func authText(a catalog.Auth) text {
	switch a.Kind {
	case "api_key":
		value := a.Prefix + "…"
		switch a.In {
		case "query":
			return t("Each request carries the key in the query parameter ", codeSpan(a.Name), alongText(a.Headers), ".")
		case "body":
			return t("Each request carries the key in the member ", codeSpan(a.Name), " of its body", alongText(a.Headers), ".")
		case "path":
			return t("Each request carries the key in its path, behind ", codeSpan(a.Name), alongText(a.Headers), ".")
		}
		return t("Each request carries the header ", codeSpan(a.Name+": "+value), ", where … is the key", alongText(a.Headers), ".")
	case "basic":
		return t("Each request carries HTTP Basic credentials: user name ", half(a.Username), ", password ", half(a.Password), ".")
	}
	o := a.OAuth
	if o == nil {
		return t("The credential is of the kind ", kindWords(a.Kind), jwtText(a.JWT), ".")
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
	if len(o.Scopes) > 0 {
		out = t(out, "; every request needs the scopes ", codes(o.Scopes))
	}
	if o.Offline != "" {
		out = t(out, "; a refresh token comes with the scope ", codeSpan(o.Offline))
	}
	if o.RevokeURL != "" {
		out = t(out, "; it is revoked at ", linkSpan(o.RevokeURL))
	} else {
		out = t(out, "; the profile knows of no address that revokes it")
	}
	return t(out, ".")
}

// jwtText says what a self-signed token holds.
func jwtText(j *catalog.JWT) text {
	if j == nil {
		return nil
	}
	var parts []text
	for _, one := range []struct{ name, value string }{{"signed by", j.Algorithm}, {"issuer", j.Issuer}, {"audience", j.Audience}} {
		if one.value != "" {
			parts = append(parts, t(one.name, " ", codeSpan(one.value)))
		}
	}
	for _, name := range names(j.Claims) {
		parts = append(parts, t(codeSpan(name), " ", codeSpan(j.Claims[name])))
	}
	if j.Seconds > 0 {
		parts = append(parts, t("valid for at most ", seconds(j.Seconds)))
	}
	if j.Exchange != "" {
		parts = append(parts, t("exchanged for ", j.Exchange))
	}
	return t(": ", joined(parts, ", "))
}

// alongText are the headers that go with a credential.
func alongText(headers map[string]string) text {
	var parts []text
	for _, name := range names(headers) {
		parts = append(parts, t(codeSpan(name+": "+headers[name])))
	}
	if len(parts) == 0 {
		return nil
	}
	return t(", together with ", joined(parts, ", "))
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

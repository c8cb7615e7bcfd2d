package document

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// Where answers are looked for when neither plan nor profile has them.
const (
	lookDocs     = "the provider's documentation"
	lookContract = "the contract with the provider"
	lookAccount  = "the provider's account settings"
	lookTeam     = "the team that owns the integration"
	lookProduct  = "your product's own decisions"
)

// contractPoints are E1 to E8.
func (w *writer) contractPoints(l *pointList) {
	p, pr := w.plan, w.provider
	switch {
	case pr.API.VersionPin != nil && pr.API.Version != "":
		l.fixed("E1", "Version pinned in the request", codeSpan(pr.API.Version), " in ", pr.API.VersionPin.In, " ", codeSpan(pr.API.VersionPin.Name))
	case pr.API.Version != "":
		l.fixed("E1", "Version pinned in the request", codeSpan(pr.API.Version), "; a request names none")
	default:
		l.open("E1", "Version pinned in the request", lookDocs)
	}
	confirmed := len(p.Profile.Confirmed)
	l.value("E2", "Date and reader of each fact", "", t(count(confirmed, "section"), " of the profile confirmed with a date; sources stand in step 1"))
	l.fixed("E3", "Deprecation told", "the headers Deprecation and Sunset of answers are noticed and recorded")
	if spec := p.Profile.Spec; spec != nil && spec.SHA256 != "" {
		l.fixed("E4", "Changes watched", "the document is pinned by its hash; ", codeSpan("sallyport diff"), " compares a new one with what is used")
	} else {
		l.open("E4", "Changes watched", "the provider's changelog; pin its document under profile.spec")
	}
	l.value("E5", "Unknown fields, values and event types", "", w.unknownPolicy())
	switch {
	case w.doc == nil:
		l.not("E6", "Known errors of the document mended", "no document was read")
	case len(w.doc.Defects) > 0:
		l.open("E6", "Known errors of the document mended", "the defects of the document, and the provider's issue tracker")
	default:
		l.not("E6", "Known errors of the document mended", "it was read without a defect")
	}
	if len(p.Mappings) > 0 {
		l.fixed("E7", "Null, absent and empty", "told apart per row: missing is left out and null stays null, unless the row says otherwise")
	} else {
		l.not("E7", "Null, absent and empty", "nothing is mapped")
	}
	l.fixed("E8", "Redirects", "handed back, not followed; only hosts of plan and profile are called")
}

func (w *writer) unknownPolicy() text {
	var parts []text
	for _, name := range names(w.plan.Mappings) {
		for _, r := range w.plan.Mappings[name] {
			if r.As == "enum" {
				parts = append(parts, t(codeSpan(name+"."+r.External), ": ", policyWords(r.Unknown)))
			}
		}
	}
	out := t("unknown fields are left out by mappings; event types not listed are kept as ignored")
	if len(parts) > 0 {
		out = t(out, "; unknown values: ", joined(parts, ", "))
	}
	return out
}

func policyWords(unknown string) string {
	if unknown == "" {
		return "fail"
	}
	return unknown
}

// callPoints are E9 to E26.
func (w *writer) callPoints(l *pointList) {
	p := w.plan
	if len(p.Endpoints) == 0 {
		for _, one := range []string{"E9 Effect of each operation", "E10 Idempotency key", "E11 Find before create", "E16 Fallback", "E19 Pages of a list", "E20 Conditional requests", "E21 Bulk", "E22 Jobs that take long"} {
			id, what, _ := strings.Cut(one, " ")
			l.not(id, what, "the plan calls nothing")
		}
	} else {
		w.operationPoints(l)
	}
	l.fixed("E12", "Timeouts", "of one attempt per endpoint (step 3), of a call ", words(p.Calls.Deadline.Or(plan.DefaultDeadline)))
	l.fixed("E13", "One retry layer, budget, jitter", "waits with full jitter; retries are at most ", percent(p.Calls.RetryBudget, plan.DefaultRetryBudget), " of calls")
	l.fixed("E15", "Breaker", "opens at ", percent(p.Breaker.Failures, plan.DefaultBreakerFailures), " failures (step 4)")
	w.limitPoints(l)
	l.fixed("E26", "The provider's request id", w.requestIDText())
	slices.SortStableFunc(l.points, func(a, b point) int { return cmp.Compare(pointNumber(a.id), pointNumber(b.id)) })
}

// pointNumber orders ids: E9 before E10.
func pointNumber(id string) float64 {
	n, _ := strconv.ParseFloat(strings.TrimLeft(id, "ER"), 64)
	return n
}

func (w *writer) requestIDText() text {
	e := w.provider.Errors
	where := places(e.RequestIDHeader, e.RequestIDAlso, e.RequestIDPath)
	if len(where) == 0 {
		return t("the profile knows of none; our own call id is logged")
	}
	return t("read from ", where, " and logged with each attempt")
}

// operationPoints are those about single endpoints.
func (w *writer) operationPoints(l *pointList) {
	p := w.plan
	effects := map[string][]string{}
	var keyed, keyless, unknowns, bulks, cached, conflicts, lists []string
	for _, name := range names(p.Endpoints) {
		e := p.Endpoints[name]
		effects[string(e.Effect)] = append(effects[string(e.Effect)], name)
		switch {
		case e.Idempotency != nil:
			keyed = append(keyed, name)
		case e.Effect == plan.EffectCreate || e.Effect == plan.EffectIrreversible:
			keyless = append(keyless, name)
		}
		collect(&unknowns, name, e.OnUnknown != nil)
		collect(&bulks, name, e.Bulk != nil)
		collect(&cached, name, e.Cache != 0)
		collect(&conflicts, name, e.OnConflict != nil)
		collect(&lists, name, strings.HasPrefix(name, "list_"))
	}
	var kinds []text
	for _, effect := range names(effects) {
		kinds = append(kinds, t(effect, " ", some(effects[effect])))
	}
	l.value("E9", "Effect of each operation", "", joined(kinds, "; "))
	switch {
	case len(keyed) > 0 && len(keyless) > 0:
		l.fixed("E10", "Idempotency key", some(keyed), "; without one: ", some(keyless))
	case len(keyed) > 0:
		l.fixed("E10", "Idempotency key", some(keyed), ", one key over all attempts")
	case len(keyless) > 0:
		l.open("E10", "Idempotency key", lookDocs+": whether POST takes one")
	default:
		l.not("E10", "Idempotency key", "nothing is created")
	}
	switch {
	case len(keyless) == 0:
		l.not("E11", "Find before create", "no create is without a key")
		l.fixed("E14", "Outcome unknown", "no call ends so that a repeat could double it")
	case len(unknowns) > 0:
		l.fixed("E11", "Find before create", some(unknowns), w.pending("endpoint."+unknowns[0]+".on_unknown"))
		l.fixed("E14", "Outcome unknown", "a state of its own; looked for with ", codeSpan("on_unknown"), w.pending("endpoint."+unknowns[0]+".on_unknown"))
	default:
		l.open("E11", "Find before create", "a natural key in the provider's list, for on_unknown: "+strings.Join(keyless, ", "))
		l.fixed("E14", "Outcome unknown", "a state of its own; waits for a person")
	}
	l.value("E16", "Fallback", "", w.fallbackPoint())
	switch {
	case w.provider.Pagination.Style != "":
		l.value("E19", "Pages of a list", "", w.paginationText())
	case len(lists) == 0:
		l.not("E19", "Pages of a list", "no endpoint is named as a list")
	default:
		l.open("E19", "Pages of a list", lookDocs)
	}
	switch {
	case len(conflicts) > 0:
		l.fixed("E20", "Conditional requests", "conflicts of ", some(conflicts), " are settled", w.pending("endpoint."+conflicts[0]+".on_conflict"))
	case len(effects["update"]) > 0:
		l.open("E20", "Conditional requests", lookDocs+": ETag and If-Match for "+strings.Join(effects["update"], ", "))
	default:
		l.not("E20", "Conditional requests", "nothing is updated")
	}
	if len(bulks) > 0 {
		l.fixed("E21", "Bulk, partial failure", some(bulks), " are collected; each caller gets its own part")
	} else {
		l.not("E21", "Bulk, partial failure", "no endpoint takes many at once")
	}
	l.open("E22", "Jobs that take long", lookDocs+": whether an operation answers before it is done")
}

func collect(list *[]string, name string, yes bool) {
	if yes {
		*list = append(*list, name)
	}
}

func (w *writer) fallbackPoint() text {
	by := map[string][]string{}
	for _, name := range names(w.plan.Endpoints) {
		kind := w.plan.Endpoints[name].Fallback
		if kind == "" {
			kind = "fail"
		}
		by[kind] = append(by[kind], name)
	}
	var parts []text
	for _, kind := range names(by) {
		parts = append(parts, t(kind, " ", some(by[kind]), w.pending("endpoint."+by[kind][0]+".fallback")))
	}
	return joined(parts, "; ")
}

// limitPoints are E17, E18 and E23 to E25.
func (w *writer) limitPoints(l *pointList) {
	p, limits := w.plan, w.provider.Limits
	if len(limits.List) > 0 {
		answer := t(count(len(limits.List), "limit"), " together, at ", percent(p.Limits.Headroom, plan.DefaultHeadroom))
		if n := len(limits.Unpublished); n > 0 {
			answer = t(answer, "; ", count(n, "more"), " without a number")
		}
		if hasUnit(limits.List) {
			answer = t(answer, "; some are counted in units of cost")
		}
		l.value("E17", "Limits as a list", "", answer)
	} else {
		l.open("E17", "Limits as a list", lookDocs+", or its support")
	}
	first := 0
	for _, e := range p.Endpoints {
		first = max(first, e.Priority)
	}
	if first > 0 {
		l.fixed("E18", "Fairness and priority", fmt.Sprintf("queued calls run by priority, up to %d", first))
	} else {
		l.open("E18", "Fairness and priority", lookProduct+": which calls people wait for (endpoints.NAME.priority)")
	}
	l.open("E23", "Time until a write can be read", lookDocs+": consistency of reads behind writes")
	l.fixed("E24", "Sizes", "bodies that are mapped are bounded; the proxy streams bodies of any size")
	if w.hasTransform() {
		l.fixed("E25", "Zones, clocks, units, currency", "amounts are exact decimals by their currency field, times are UTC")
	} else {
		l.open("E25", "Zones, clocks, units, currency", lookDocs+": units and zones of the fields that are used")
	}
}

func (w *writer) hasTransform() bool {
	for _, rows := range w.plan.Mappings {
		for _, r := range rows {
			if r.Transform != "" || r.Type == "unix" {
				return true
			}
		}
	}
	return false
}

// credentialPoints are E27 to E36.
func (w *writer) credentialPoints(l *pointList) {
	p := w.plan
	oauth := p.Auth.Use == "oauth2"
	because := "the credential is of the kind " + kindWords(p.Auth.Use)
	ways := w.ways()
	if oauth {
		l.value("E27", "Least scopes", lookDocs+": the scopes of each endpoint that is used", nil)
		l.fixed("E28", "State, PKCE, exact redirect", "always", w.pending("auth.credential"))
		l.fixed("E29", "One refresh at a time", "one refresh for all callers, saved before use", w.pending("auth.credential"))
		life := text(nil)
		if len(ways) > 0 && ways[0].OAuth != nil && ways[0].OAuth.AccessSeconds > 0 {
			life = t("access tokens live ", seconds(ways[0].OAuth.AccessSeconds))
		}
		l.value("E30", "Life of tokens", lookDocs, life)
	} else {
		l.open("E27", "Least permission of the key", lookAccount+": whether a key can be restricted to what is used")
		l.not("E28", "State, PKCE, exact redirect", because)
		l.not("E29", "One refresh at a time", because)
		l.not("E30", "Life of tokens", because)
	}
	if p.Auth.RotateEvery != 0 {
		l.fixed("E31", "Rotation with overlap", "every ", p.Auth.RotateEvery.String(), w.pending("auth.rotate_every"), "; several references of a secret are valid at once")
	} else {
		l.open("E31", "Rotation with overlap", "auth.rotate_every, and "+lookAccount)
	}
	revoke, known := w.revocation()
	switch {
	case revoke != nil:
		l.value("E32", "Disconnecting revokes", "", t("at ", revoke))
	case known:
		l.not("E32", "Disconnecting revokes", "a key is deleted by people at the provider")
	default:
		l.open("E32", "Disconnecting revokes", lookDocs)
	}
	if slices.ContainsFunc(ways, func(a catalog.Auth) bool { return len(a.LivePrefix) > 0 || len(a.TestPrefix) > 0 }) {
		l.fixed("E33", "Live and test keys can't mix", "told apart by how they begin, at start")
	} else {
		l.open("E33", "Live and test keys can't mix", "how keys begin is not in the profile; keep them apart by environment")
	}
	if len(w.provider.API.Variables) > 0 {
		l.value("E34", "Accounts, regions, addresses", "", t("the address has parts of the customer's: ", codes(names(w.provider.API.Variables))))
	} else {
		l.fixed("E34", "Accounts, regions, addresses", "one address per environment")
	}
	l.open("E35", "Egress addresses, mTLS, allow-lists", lookAccount+": whether callers must be registered")
	l.open("E36", "Owner of the developer account, second factor, billing", lookTeam)
}

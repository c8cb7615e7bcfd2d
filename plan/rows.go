package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
)

// Row is one statement of a plan that can be proven true or false of a running
// integration: an endpoint's timeout, what follows a 429, a field of a mapping.
// Documents, findings, tests and evidence refer to it by ID.
type Row struct {
	// ID is stable: it is made of names, never of positions in the file, so it
	// survives reordering. endpoint.create_customer.timeout, error.429,
	// mapping.customer.email (by the provider's path), event.invoice.paid.
	ID string
	// Kind is what the id begins with: provider, environment, auth, endpoint,
	// mapping, error, limit, breaker, call, webhook, event, destination, monitoring.
	Kind string
	// Statement says it in a sentence without a full stop.
	Statement string
	// Position is where the plan says so; for a default, the nearest place.
	Position Position
	// Reason is why this version does not act upon the row; only Unenforced
	// sets it.
	Reason string

	value string // what the row is about, in the plan's words; the table of Unenforced looks at it
}

// Rows takes the plan apart into its provable statements, defaults included,
// ordered as the plan is: by section, then by name. Rows about the provider
// need Provider.
func (p *Plan) Rows() []Row {
	b := &rowBuilder{plan: p}
	b.provider()
	b.environments()
	b.auth()
	for _, name := range sorted(p.Endpoints) {
		if e := p.Endpoints[name]; e != nil {
			b.endpoint(name, e)
		}
	}
	b.mappings()
	b.errors()
	b.limits()
	b.breaker()
	b.calls()
	b.webhooks()
	for _, name := range sorted(p.Destinations) {
		d := p.Destinations[name]
		path := "destinations." + name
		switch {
		case d.Broker():
			b.add("destination", name, path, "", "deliveries to %s are published on %s", name, d.URL)
		default:
			b.add("destination", name, path, "", "deliveries to %s are posted to %s and signed (Standard Webhooks)", name, d.URL)
		}
		if d.Raw() {
			b.add("destination", name+".format", path+".format", "", "%s receives the provider's own body and headers", name)
		}
		if d.Rate != "" {
			b.add("destination", name+".rate", path+".rate", "", "%s receives at most %s", name, d.Rate)
		}
		b.add("destination", name+".concurrency", path+".concurrency", "", "at most %d deliveries to %s are under way at once", cmp.Or(d.Concurrency, DefaultConcurrency), name)
		b.add("destination", name+".timeout", path+".timeout", "", "one delivery to %s takes at most %s", name, Duration(d.Timeout.Or(DefaultDestinationTimeout)))
	}
	b.monitoring()
	return b.rows
}

type rowBuilder struct {
	plan *Plan
	rows []Row
}

func (b *rowBuilder) add(kind, id, path, value, statement string, args ...any) {
	b.rows = append(b.rows, Row{
		ID:        kind + "." + id,
		Kind:      kind,
		Statement: fmt.Sprintf(statement, args...),
		Position:  b.plan.Position(path),
		value:     value,
	})
}

func (b *rowBuilder) provider() {
	p := b.plan.Provider
	if p == nil {
		return
	}
	if pin := p.API.VersionPin; pin != nil && p.API.Version != "" {
		b.add("provider", "version", "profile.version", "", "every request asks for version %s in %s %s", p.API.Version, pin.In, pin.Name)
	}
	for _, name := range sorted(p.API.Headers) {
		b.add("provider", "header."+name, "uses", "", "every request carries %s: %s", name, p.API.Headers[name])
	}
}

func (b *rowBuilder) environments() {
	for _, name := range sorted(b.plan.Environments) {
		if base := b.plan.BaseURL(name); base != "" {
			b.add("environment", name, "environments."+name, "", "calls of %s go to %s", name, base)
		}
	}
}

func (b *rowBuilder) auth() {
	a := b.plan.Auth
	b.add("auth", "credential", "auth.use", a.Use, "every request carries a credential of kind %s", a.Use)
	if a.OfTenants() {
		b.add("auth", "whose", "auth.whose", "", "each tenant's calls carry the credential that it connected, and no other")
	}
	if a.Granted() {
		b.add("auth", "whose", "auth.whose", "", "every call carries one token, asked for with the environment's secrets and renewed before it ends")
	}
	if a.Tell != "" {
		b.add("auth", "tell", "auth.tell", "", "%s is told when a connection needs its tenant, ends or is well again", a.Tell)
	}
	if a.RotateEvery != 0 {
		b.add("auth", "rotate_every", "auth.rotate_every", "", "no credential is older than %s", a.RotateEvery)
	}
}

// retryWords say what an effect means for retries.
func retryWords(e *Endpoint) string {
	switch {
	case e.Effect == EffectIrreversible:
		return "never repeated by machine once the provider may have received it"
	case e.Effect == EffectCreate && e.Idempotency == nil:
		return "without an idempotency key it is not repeated once the provider may have received it"
	case e.Effect == EffectCreate:
		return "may be repeated with its idempotency key"
	}
	return "may be repeated"
}

func (b *rowBuilder) endpoint(name string, e *Endpoint) {
	row := func(key, value, statement string, args ...any) {
		b.add("endpoint", name+"."+key, "endpoints."+name+"."+key, value, name+" "+statement, args...)
	}
	row("call", "", "is %s", e.Call)
	row("effect", string(e.Effect), "has the effect %s: %s", e.Effect, retryWords(e))
	if i := e.Idempotency; i != nil {
		keep := ""
		if i.Keep != 0 {
			keep = fmt.Sprintf(", which the provider remembers for %s", i.Keep)
		}
		row("idempotency", "", "sends one %s over all attempts%s", i.Header, keep)
	}
	if e.Send != "" {
		row("send", "", "sends a body mapped by %s", e.Send)
	}
	if e.Receive != "" {
		row("receive", "", "answers mapped by %s", e.Receive)
	}
	if e.Encoding != "" {
		row("encoding", "", "encodes the body as %s", e.Encoding)
	}
	row("timeout", "", "gives one attempt at most %s", Duration(e.Timeout.Or(DefaultTimeout)))
	if e.Fallback != "" {
		row("fallback", e.Fallback, "falls back to %s when the provider can't be reached", e.Fallback)
	}
	if e.Cache != 0 {
		row("cache", "", "may serve an answer again for %s", e.Cache)
	}
	if o := e.OnConflict; o != nil {
		row("on_conflict", "", "on a conflict reads %s and keeps %s", o.Read, o.words())
	}
	if o := e.OnUnknown; o != nil {
		row("on_unknown", "", "looks with %s for what became of a call without an answer, by %s", o.Find, strings.Join(sorted(o.Match), " and "))
	}
	if u := e.Bulk; u != nil {
		row("bulk", "", "collects up to %d calls for at most %s into one of %s", cmp.Or(u.Max, DefaultBulkMax), Duration(u.Wait.Or(DefaultBulkWait)), u.Call)
	}
	if e.RecordedBefore() {
		row("record", "", "is written down before it is sent")
	}
	if e.Priority != 0 {
		row("priority", "", "waits in the queue with priority %d", e.Priority)
	}
	if e.Cost > 1 {
		row("cost", "", "takes %d units of limits that are not counted in requests", e.Cost)
	}
}

func (b *rowBuilder) mappings() {
	for _, name := range sorted(b.plan.Mappings) {
		rows := b.plan.Mappings[name]
		twice := map[string]int{}
		for _, row := range rows {
			twice[row.External]++
		}
		for i, row := range rows {
			id := row.External
			if twice[id] > 1 {
				// The same field by one row in and another out.
				id += "." + cmp.Or(row.Direction, "both")
			}
			b.add("mapping", name+"."+id, fmt.Sprintf("mappings.%s[%d]", name, i), "", "%s", row.words())
		}
	}
}

// words says what a mapping row does.
func (r MappingRow) words() string {
	var s strings.Builder
	arrow := map[string]string{"in": "→", "out": "←"}[r.Direction]
	fmt.Fprintf(&s, "%s %s %s", r.External, cmp.Or(arrow, "↔"), r.Internal)
	s.WriteString(" as " + r.As)
	if r.Transform != "" {
		s.WriteString(" by " + r.Transform)
	}
	if r.As == "enum" {
		fmt.Fprintf(&s, " of %d values, an unknown one: %s", len(r.Values), cmp.Or(r.Unknown, "fail"))
	}
	if r.Missing != "" {
		s.WriteString(", missing: " + r.Missing)
	}
	if r.Null != "" {
		s.WriteString(", null: " + r.Null)
	}
	return s.String()
}

// errorOrder puts statuses by number before the words.
func errorOrder(a, b string) int {
	rank := func(key string) int {
		if n, err := strconv.Atoi(key); err == nil {
			return n
		}
		return 600 + slices.Index([]string{"5xx", "timeout", "network"}, key)
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
}

func (b *rowBuilder) errors() {
	keys := sorted(DefaultErrors())
	for key := range b.plan.Errors {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, errorOrder)
	for _, key := range keys {
		policy := b.plan.ErrorPolicy(key)
		origin, alert := "", ""
		_, own := b.plan.Errors[key]
		switch {
		case !own:
			origin = " (default)"
		case policy.Alert:
			alert = "alert"
		}
		b.add("error", key, "errors."+key, alert, "on %s: %s%s", key, policy.Words(), origin)
	}
}

// Words says what the policy does, in a phrase: "3 retries after 1s, 2s, 4s,
// then keep; alert".
func (e ErrorPolicy) Words() string {
	s := "no retry"
	if e.Retry > 0 {
		s = fmt.Sprintf("%d retries", e.Retry)
		if e.Retry == 1 {
			s = "1 retry"
		}
		if len(e.Backoff) > 0 {
			waits := make([]string, len(e.Backoff))
			for i, d := range e.Backoff {
				waits[i] = d.String()
			}
			s += " after " + strings.Join(waits, ", ")
		}
	}
	switch {
	case e.Then != "" && e.Retry > 0:
		s += ", then " + e.Then
	case e.Then == "keep":
		s += ", kept for a person"
	}
	if e.Alert {
		s += "; alert"
	}
	if e.Tell != "" {
		s += "; " + e.Tell + " is told that the resource is missing"
	}
	if e.Message != "" {
		s += "; the user reads " + strconv.Quote(e.Message)
	}
	return s
}

func (b *rowBuilder) limits() {
	p := b.plan
	headroom := p.Limits.Headroom.Or(DefaultHeadroom)
	if p.Provider != nil {
		for _, l := range p.Provider.Limits.List {
			if l.Optional {
				continue
			}
			unit := cmp.Or(l.Unit, "requests")
			b.add("limit", l.Name, "limits.headroom", unit, "at most %s of the provider's %d %s per %s and %s are used (%d%%)",
				share(l, headroom), l.Limit, unit, Duration(time.Duration(l.Window)*time.Second), l.Scope, headroom)
		}
	}
	b.add("limit", "wait", "limits.wait", "", "a caller waits at most %s for its turn", Duration(p.Limits.Wait.Or(DefaultLimitWait)))
	b.add("limit", "queue", "limits.queue", "", "at most %d callers wait at once", cmp.Or(p.Limits.Queue, DefaultLimitQueue))
	if p.Limits.Observes() {
		b.add("limit", "mode", "limits.mode", "", "no call is held back by a limit; what would have been is counted")
	}
}

func (b *rowBuilder) breaker() {
	k := b.plan.Breaker
	b.add("breaker", "failures", "breaker.failures", "", "calls are held back when %d%% of at least %d calls within %s failed, or none succeeded for a tenth of that time",
		k.Failures.Or(DefaultBreakerFailures), cmp.Or(k.Minimum, DefaultBreakerMinimum), Duration(k.Window.Or(DefaultBreakerWindow)))
	b.add("breaker", "slow_calls", "breaker.slow_calls", "", "calls are held back when %d%% of them took longer than %s",
		k.SlowCalls.Or(DefaultBreakerSlowCalls), Duration(k.Slow.Or(DefaultBreakerSlow)))
	b.add("breaker", "pause", "breaker.pause", "", "after %s a few calls are let through to see; while they fail the pause doubles up to %s",
		Duration(k.Pause.Or(DefaultBreakerPause)), Duration(k.MaxPause.Or(DefaultBreakerMaxPause)))
}

func (b *rowBuilder) calls() {
	k := b.plan.Calls
	b.add("call", "deadline", "calls.deadline", "", "a call ends after %s with all its attempts and waits", Duration(k.Deadline.Or(DefaultDeadline)))
	b.add("call", "expire", "calls.expire", "", "a queued call is given to a person after %s", Duration(k.Expire.Or(DefaultExpire)))
	b.add("call", "retry_budget", "calls.retry_budget", "", "at most %d%% of recent calls are retries", k.RetryBudget.Or(DefaultRetryBudget))
}

// share is headroom percent of a limit, rounded down to tenths.
func share(l catalog.Limit, headroom int) string {
	tenths := l.Limit / 100 * headroom * 10
	tenths += l.Limit % 100 * headroom / 10
	return strconv.FormatFloat(float64(tenths)/10, 'f', -1, 64)
}

func (b *rowBuilder) webhooks() {
	w := b.plan.Webhooks
	if w == nil {
		return
	}
	scheme := "the provider's scheme"
	if p := b.plan.Provider; p != nil && p.Webhooks != nil {
		scheme = p.Webhooks.Verify.Scheme + " " + p.Webhooks.Verify.Algorithm
	}
	row := func(id, statement string, args ...any) {
		b.add("webhook", id, "webhooks."+id, "", statement, args...)
	}
	row("verify", "a webhook is accepted only with a valid signature over its raw bytes (%s)", scheme)
	row("duplicate", "an event that was received before is answered 200 and not processed again")
	row("ignored", "an event type that is not listed is kept as ignored and not delivered")
	for _, name := range sorted(w.Sources) {
		b.source(name, w.Sources[name])
	}
	switch w.Tenant {
	case "":
	case TenantByPath:
		row("tenant", "the tenant of an event is the last part of the address it comes to")
	case TenantByAccount:
		row("tenant", "the tenant of an event is the one that connected the account it names")
	default:
		row("tenant", "the tenant of an event is %s", w.Tenant)
	}
	if w.OrderBy != "" {
		row("order_by", "the subject of an event is %s", w.OrderBy)
	}
	if w.Ordered {
		row("ordered", "events with the same subject are delivered one after the other, in the order in which they came")
	}
	if len(w.Echo) > 0 {
		row("echo", "events that a call of ours caused are marked, by %s", strings.Join(sorted(w.Echo), ", "))
	}
	payload, ids := w.Kept()
	row("retention", "payloads are kept for %s, ids for %s", Duration(payload), Duration(ids))
	if len(w.Redact) > 0 {
		row("redact", "nobody is shown, and once an event was processed nothing keeps: %s", strings.Join(w.Redact, ", "))
	}
	if r := w.Reconcile; r != nil {
		row("reconcile", "%s is asked every %s for events that never came", r.List, r.Every)
	}
	for _, name := range sorted(w.Events) {
		e := w.Events[name]
		what := cmp.Or(e.From, "the payload") + " of " + name
		if e.Map != "" {
			what += " mapped by " + e.Map
		}
		if e.Fetch != nil {
			b.add("event", name+".fetch", "webhooks.events."+name+".fetch", "", "what %s is about is read with %s", name, e.Fetch.Endpoint)
		}
		switch {
		case len(e.To) > 0:
			b.add("event", name, "webhooks.events."+name, "", "%s is delivered to %s", what, strings.Join(e.To, " and "))
		case len(e.Routes) == 0:
			b.add("event", name, "webhooks.events."+name, "", "%s is delivered to the Go handler registered for it", what)
		}
		for i, r := range e.Routes {
			to := strings.Join(r.To, " and ")
			b.add("event", name+"."+strings.Join(r.To, "+"), fmt.Sprintf("webhooks.events.%s.routes[%d]", name, i), "", "%s is delivered to %s where %s", what, to, r.Words())
		}
	}
}

// Words says when the route is taken: "tenant is acme or beta, and
// json:livemode is true".
func (r Route) Words() string {
	var parts []string
	for _, place := range sorted(r.When) {
		values := orList(r.When[place])
		switch values {
		case "*":
			parts = append(parts, place+" is there")
		case "-":
			parts = append(parts, place+" is not there")
		default:
			parts = append(parts, place+" is "+values)
		}
	}
	return strings.Join(parts, ", and ")
}

func (b *rowBuilder) source(name string, s Source) {
	words := "is one of its own, verified by " + cmp.Or(s.Secret, "webhook_secret")
	if s.Tenant != "" {
		words += ", for " + s.Tenant
	}
	b.add("webhook", "source."+name, "webhooks.sources."+name, "", "the address %s %s", name, words)
}

func (b *rowBuilder) monitoring() {
	m := b.plan.Monitoring
	if m.ExpectCallsEvery != 0 {
		b.add("monitoring", "expect_calls_every", "monitoring.expect_calls_every", "", "silence for longer than %s is reported", m.ExpectCallsEvery)
	}
	if len(m.Notify) > 0 {
		b.add("monitoring", "notify", "monitoring.notify", "", "%s are told about trouble", strings.Join(m.Notify, ", "))
	}
}

package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
)

// checker holds the rules that need more than one key to see. It runs on what
// could be read, so that its findings stand beside those of the reader.
type checker struct {
	*reader
	plan *Plan
}

// at is where the value of path stands, or the nearest part the file has.
func (c *checker) at(path string) Position {
	for path != "" {
		if at, ok := c.values[path]; ok {
			return at
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return Position{1, 1}
}

func (c *checker) complain(path string, rule Rule, message, hint string) {
	c.report(c.at(path), path, rule, message, hint)
}

// refer checks that a name stands for something the plan has.
func (c *checker) refer(path, name, what string, known []string) bool {
	if name == "" || slices.Contains(known, name) {
		return name != ""
	}
	hint := didYouMean(name, known)
	if len(known) == 0 {
		hint = "the plan has none"
	}
	c.complain(path, RuleReference, "there is no "+what+" "+quote(name), hint)
	return false
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (c *checker) run() {
	p := c.plan
	c.decision()
	c.profile()
	for _, name := range sorted(p.Environments) {
		c.environment("environments."+name, p.Environments[name])
	}
	c.auth()
	for _, name := range sorted(p.Endpoints) {
		c.endpoint("endpoints."+name, p.Endpoints[name])
	}
	for _, name := range sorted(p.Mappings) {
		c.mappingTable("mappings."+name, name, p.Mappings[name])
	}
	for _, key := range sorted(p.Errors) {
		c.errorPolicy("errors."+key, p.Errors[key])
		if p.Errors[key].Tell != "" && key != "404" && key != "410" {
			c.complain("errors."+key+".tell", RuleConflict, key+" does not say that the resource is gone", "tell belongs to 404 and 410")
		}
	}
	c.atLeast("limits.queue", p.Limits.Queue, 0)
	c.atLeast("breaker.minimum", p.Breaker.Minimum, 0)
	if b := p.Breaker; b.MaxPause != 0 && b.MaxPause < b.Pause {
		c.complain("breaker.max_pause", RuleConflict, "is shorter than the pause it bounds", "write "+b.Pause.String()+" or more")
	}
	c.webhooks()
	c.points()
	for _, name := range sorted(p.Destinations) {
		c.destination("destinations."+name, p.Destinations[name])
	}
}

func (c *checker) date(path, s string) {
	if _, err := time.Parse(time.DateOnly, s); err != nil && s != "" && !c.reported(path) {
		c.complain(path, RuleValue, quote(s)+" is no day of the calendar", "write YYYY-MM-DD")
	}
}

func (c *checker) decision() {
	if d := c.plan.Decision; d != nil {
		c.date("decision.review_by", d.ReviewBy)
		c.weighed(d)
	}
}

func (c *checker) profile() {
	o := c.plan.Profile
	if o.BaseURL != "" {
		c.address("profile.base_url", o.BaseURL, false)
	}
	for _, section := range sorted(o.Confirmed) {
		c.date("profile.confirmed."+section+".on", o.Confirmed[section].On)
	}
}

func (c *checker) environment(path string, e Environment) {
	if e.BaseURL != "" {
		c.address(path+".base_url", e.BaseURL, false)
	}
	for _, name := range sorted(e.Secrets) {
		references := e.Secrets[name]
		here := path + ".secrets." + name
		if len(references) == 0 && !c.reported(here) {
			c.complain(here, RuleRequired, "is empty", "write a reference: env:NAME or file:PATH")
		}
		for i, ref := range references {
			one := fmt.Sprintf("%s[%d]", here, i)
			if _, list := c.values[one]; !list {
				one = here
			}
			c.secret(one, ref)
		}
	}
}

// secretReference is what may stand where a secret is needed.
var secretReference = regexp.MustCompile(`^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|vault:.+|ssm:.+)$`)

// secret checks a reference without ever showing it: what is no reference may
// be the secret itself.
func (c *checker) secret(path, ref string) {
	if !secretReference.MatchString(ref) {
		c.complain(path, RuleValue, "the value (not shown) is no reference to a secret", "write env:NAME, file:PATH, vault:PATH#FIELD or ssm:NAME, never the secret itself")
	}
}

// address checks an absolute URL. It is not shown either: it may hold a
// password.
func (c *checker) address(path, s string, query bool, schemes ...string) {
	schemes = append([]string{"http", "https"}, schemes...)
	u, err := url.Parse(s)
	message, hint := "", "write an absolute http or https URL, such as https://api.example.com"
	switch {
	case err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "":
		message = "is no absolute " + orList(schemes) + " URL"
	case u.User != nil:
		message, hint = "holds a user or password", "leave it out; credentials belong to secrets"
	case strings.Contains(s, "#"):
		message = "holds a fragment, which is never sent"
	case !query && strings.Contains(s, "?"):
		message = "holds a query"
	default:
		return
	}
	c.complain(path, RuleValue, message, hint)
}

// orList joins words: "http or https", "http, https or nats".
func orList(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (c *checker) auth() {
	p := c.plan
	c.refer("auth.tell", p.Auth.Tell, "destination", sorted(p.Destinations))
	if p.Auth.Whose == "app" && !slices.Contains([]string{"", "api_key", "basic"}, p.Auth.Use) && !p.Auth.Granted() {
		c.complain("auth.whose", RuleConflict, p.Auth.Use+" is authorised by each tenant", "write whose: tenant, or leave it out")
	}
	if p.Provider == nil || len(p.Provider.Auth) == 0 || p.Auth.Use == "" || c.reported("auth.use") {
		return
	}
	kinds := make([]string, 0, len(p.Provider.Auth))
	for _, a := range p.Provider.Auth {
		kinds = append(kinds, a.Kind)
	}
	if !slices.Contains(kinds, p.Auth.Use) {
		c.complain("auth.use", RuleReference, fmt.Sprintf("the profile %s has no credential of kind %s", p.Uses, quote(p.Auth.Use)), "it has "+strings.Join(slices.Compact(slices.Sorted(slices.Values(kinds))), ", "))
	}
}

func (c *checker) endpoint(path string, e *Endpoint) {
	if e == nil {
		return
	}
	p := c.plan
	if err := checkCall(e.Call); e.Call != "" && err != nil {
		c.complain(path+".call", RuleValue, err.Error(), "write variables as {name}, each name once")
	}
	mappings := sorted(p.Mappings)
	if c.refer(path+".send", e.Send, "mapping", mappings) && (e.Method() == "GET" || e.Method() == "HEAD") {
		c.complain(path+".send", RuleConflict, "a "+e.Method()+" has no request body to map", "leave send out; parameters go into the query")
	}
	c.refer(path+".receive", e.Receive, "mapping", mappings)
	if e.Effect != "" && e.Effect != EffectRead {
		if e.Cache != 0 {
			c.complain(path+".cache", RuleConflict, "only an answer to a read can be served again", "leave it out, or set effect: read if that is what it does")
		}
		if e.Fallback == "cached" {
			c.complain(path+".fallback", RuleConflict, "only an answer to a read can be served again", "write queue or fail")
		}
	}
	c.onConflict(path+".on_conflict", e)
	c.onUnknown(path+".on_unknown", e)
	c.fixedAnswer(path, e)
	c.bulk(path, e)
	c.atLeast(path+".cost", e.Cost, 0)
}

// fixedAnswer checks what "fallback: default" answers.
func (c *checker) fixedAnswer(path string, e *Endpoint) {
	switch {
	case e.Fallback == "default" && e.Default == "":
		c.complain(path+".fallback", RuleRequired, "there is no answer to fall back to", "write default: and the JSON to answer, in the provider's shape")
	case e.Fallback != "default" && e.Default != "":
		c.complain(path+".default", RuleConflict, "is only used with fallback: default", "leave it out, or write fallback: default")
	case e.Default != "" && !json.Valid([]byte(e.Default)):
		c.complain(path+".default", RuleValue, "is no JSON", `write JSON text in quotes, such as '{"data": []}'`)
	}
	if e.Fallback == "queue" && e.Effect == EffectRead {
		c.complain(path+".fallback", RuleConflict, "nobody waits for an answer to a read that comes later", "write cached, default or fail")
	}
}

// bulk checks that calls can be collected.
func (c *checker) bulk(path string, e *Endpoint) {
	b := e.Bulk
	if b == nil {
		return
	}
	c.atLeast(path+".bulk.max", b.Max, 0)
	if !c.refer(path+".bulk.call", b.Call, "endpoint", sorted(c.plan.Endpoints)) {
		return
	}
	many := c.plan.Endpoints[b.Call]
	switch {
	case many == nil:
	case many == e:
		c.complain(path+".bulk.call", RuleConflict, "an endpoint can't collect into itself", "name the endpoint that takes many at once")
	case many.Bulk != nil:
		c.complain(path+".bulk.call", RuleConflict, b.Call+" is collected itself", "name the endpoint that takes many at once")
	case e.Method() == "GET" || e.Method() == "HEAD" || len(e.PathVariables()) > 0 || len(many.PathVariables()) > 0:
		c.complain(path+".bulk", RuleConflict, "only calls that are told apart by their body alone can be collected", "leave bulk out where the path or the query names the resource")
	}
}

// atLeast checks a number.
func (c *checker) atLeast(path string, n, least int) {
	if n < least {
		c.complain(path, RuleValue, fmt.Sprintf("%d is too small", n), fmt.Sprintf("write %d or more", max(least, 1)))
	}
}

// onlyReads checks that name is an endpoint and only reads.
func (c *checker) onlyReads(path, name string) {
	if !c.refer(path, name, "endpoint", sorted(c.plan.Endpoints)) {
		return
	}
	if e := c.plan.Endpoints[name]; e != nil && e.Effect != EffectRead && e.Effect != "" {
		c.complain(path, RuleConflict, fmt.Sprintf("%s has the effect %s; only a read can be asked at any time", name, e.Effect), "name an endpoint whose effect is read")
	}
}

func (c *checker) errorPolicy(path string, e ErrorPolicy) {
	c.refer(path+".tell", e.Tell, "destination", sorted(c.plan.Destinations))
	if e.Retry == 0 && len(e.Backoff) > 0 {
		if _, there := c.positions[path+".retry"]; there && !c.reported(path+".retry") {
			c.complain(path+".backoff", RuleConflict, "waits before retries, of which there are none", "leave backoff out, or write retry: "+fmt.Sprint(len(e.Backoff)))
		}
	}
}

// ownLimits puts the numbers of a contract in the place of the published ones.
func (c *checker) ownLimits() {
	list := c.plan.Provider.Limits.List
	known := make([]string, len(list))
	for i := range list {
		known[i] = list[i].Name
	}
	for _, name := range sorted(c.plan.Profile.Limits) {
		path := "profile.limits." + name
		c.atLeast(path, c.plan.Profile.Limits[name], 1)
		if !c.refer(path, name, "limit", known) {
			continue
		}
		l := &list[slices.Index(known, name)]
		l.Limit, l.Optional = c.plan.Profile.Limits[name], false
	}
}

// overlay gives the plan its provider: a copy of the profile with what the
// plan overrides. The catalog's own profile is never changed.
func (c *checker) overlay(catalogue func(id string) (*catalog.Profile, error)) {
	p := c.plan
	if catalogue == nil || p.Uses == "" {
		return
	}
	profile, err := catalogue(p.Uses)
	if err != nil {
		c.complain("uses", RuleReference, err.Error(), "")
		return
	}
	p.Provider = cloneProfile(profile)
	if p.Profile.Version != "" {
		p.Provider.API.Version = p.Profile.Version
	}
	if p.Profile.BaseURL != "" {
		p.Provider.API.BaseURL = p.Profile.BaseURL
	}
	c.ownLimits()
}

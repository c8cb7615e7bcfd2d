package limit

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// Scopes by which a provider divides its counting. Words that are in none of
// the lists (app, ip, client, …) divide nothing: all calls count together.
var (
	// byTenant are counted for each credential.
	byTenant = []string{"access_token", "connection", "installation", "member", "oauth_token", "tenant", "token", "user"}
	// byAccount are counted for each account at the provider.
	byAccount = []string{
		"account", "company", "customer", "division", "enterprise", "org", "organization", "portal", "realm", "shop", "site", "store",
		"subdomain", "team", "workspace",
	}
	byEndpoint = []string{"endpoint", "method"}
	// unseen are things within a request that are not looked at here.
	unseen = []string{
		"base", "channel", "chat", "conversation", "document", "group", "issue", "item", "list", "object", "phone_number", "project", "query",
		"recipient", "record", "repository", "resource", "sender",
	}
)

// Enforced reports whether a limit is kept in an environment, and if not, why.
// optional are the names of the optional limits that are kept all the same.
func Enforced(l catalog.Limit, environment string, optional ...string) (ok bool, why string) {
	here := "sandbox"
	if plan.Production(environment) {
		here = "production"
	}
	switch {
	case l.Optional && !slices.Contains(optional, l.Name):
		return false, "optional"
	case len(l.Environments) > 0 && !slices.Contains(l.Environments, here):
		return false, "it holds in " + strings.Join(l.Environments, ", ") + " only"
	case l.Limit <= 0 || l.Window <= 0 && l.Unit != unitConcurrent:
		return false, "it has no number or no window"
	}
	if scoped(l.Scope, unseen) {
		return false, "it is counted per " + l.Scope
	}
	return true, ""
}

func scoped(scope string, words []string) bool {
	for word := range strings.SplitSeq(scope, "+") {
		if slices.Contains(words, strings.TrimSpace(word)) {
			return true
		}
	}
	return false
}

const unitConcurrent = "concurrent"

// rule is one limit of the profile at the plan's headroom. A limit with a burst
// makes two: the burst in the time it takes to come back, and the window.
type rule struct {
	name       string
	number     int // of the rule in the Limiter
	unit       string
	paths      []string // prefixes; empty is every path
	methods    []string
	costs      []catalog.LimitCost
	counted    bool // in requests: each is one
	tenant     bool // divided by tenant, and so on
	account    bool
	endpoint   bool
	limit      int64 // the provider's, in units
	allowed    int64 // ours
	length     time.Duration
	concurrent bool
	only       *bucket // where nothing divides it

	refused, observed uint64
}

// rulesOf are the rules of a limit at percent of it. Less than one turn in a
// window is one turn in a window longer by as much.
func rulesOf(l catalog.Limit, percent int) []*rule {
	r := rule{
		name: l.Name, unit: l.Unit, paths: l.Paths, methods: l.Methods, costs: l.Costs,
		counted: l.Unit == "" || l.Unit == "requests" || l.Unit == unitConcurrent, concurrent: l.Unit == unitConcurrent,
		tenant: scoped(l.Scope, byTenant), account: scoped(l.Scope, byAccount), endpoint: scoped(l.Scope, byEndpoint),
		length: time.Duration(l.Window) * time.Second,
	}
	if r.unit == "" {
		r.unit = "requests"
	}
	r.share(int64(l.Limit), percent)
	if l.Burst <= 0 || l.Burst >= l.Limit || r.concurrent {
		return []*rule{&r}
	}
	burst := r
	burst.length = time.Duration(float64(l.Window) * float64(time.Second) * float64(l.Burst) / float64(l.Limit))
	burst.share(int64(l.Burst), percent)
	return []*rule{&burst, &r}
}

func (r *rule) share(limit int64, percent int) {
	r.limit = limit * one
	r.allowed = limit * int64(percent) / 100 * one
	if r.allowed < one {
		r.allowed = one
		if !r.concurrent {
			r.length = r.length * 100 / time.Duration(limit*int64(percent))
		}
	}
}

// about reports whether a request counts.
func (r *rule) about(q *Request) bool {
	return fits(r.methods, r.paths, q)
}

func fits(methods, paths []string, q *Request) bool {
	if len(methods) > 0 && !slices.Contains(methods, q.Method) {
		return false
	}
	if len(paths) == 0 {
		return true
	}
	for _, prefix := range paths {
		if strings.HasPrefix(q.Path, prefix) {
			return true
		}
	}
	return false
}

// cost is what a request counts, at most all that is allowed: one that costs
// more than our share goes when nothing else does.
func (r *rule) cost(q *Request) int64 {
	if r.counted {
		return one
	}
	cost := q.Cost
	if cost == 0 {
		cost = 1
		for i := range r.costs {
			if fits(r.costs[i].Methods, r.costs[i].Paths, q) {
				cost = r.costs[i].Cost
				break
			}
		}
	}
	if !(cost > 0) { // also not a number
		return 0
	}
	return int64(min(math.Ceil(cost*one), float64(r.allowed)))
}

// everybody reports whether all calls count together.
func (r *rule) everybody() bool {
	return len(r.paths) == 0 && len(r.methods) == 0 && !r.tenant && !r.account && !r.endpoint
}

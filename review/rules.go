package review

import (
	"time"

	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// Options are what a review may look at beside the plan.
type Options struct {
	Now      time.Time         // today, for dates in the plan
	Document *openapi.Document // the provider's document; nil leaves what needs it unknown
}

// Rule is one thing that a plan must keep.
type Rule struct {
	ID       string
	Severity Severity
	Title    string // what must hold
	Why      string // what happens when it does not
	Fix      string // the way out
	Source   string // where the rule comes from
	check    func(p *plan.Plan, o Options) []answer
}

// The sources of rules.
const (
	fourteen  = "requirements R7.1"
	rules     = "requirements R0"
	corrected = "plan points: where the obvious rule does harm"
	beyond    = "plan points beyond the requirements"
)

// Rules is the whole table, in the order of a review.
func Rules() []Rule {
	return []Rule{
		{"R7.1.1", Warning, "The provider's profile is documented: version and document are pinned", "An API that moves under an unpinned plan breaks it without a change of yours.", "Pin profile.version and profile.spec with its sha256.", fourteen, checkPinned},
		{"R7.1.2", Error, "Credentials are references, for every environment", "An environment without its own credentials runs with another's, or not at all.", "Name the secrets under environments.NAME.secrets as env: or file: references.", fourteen, checkCredentials},
		{"R7.1.3", Warning, "A wrapper isolates the provider", "Code that speaks the provider's dialect has to change with it, everywhere.", "Name every operation as an endpoint of the plan and call it by that name.", fourteen, checkWrapper},
		{"R7.1.4", Warning, "A mapper converts between their fields and ours", "Unmapped fields carry the provider's names, units and enum values into your product.", "Name a mapping: receive for answers, map for events.", fourteen, checkMapper},
		{"R7.1.5", Error, "Every HTTP status is handled", "A 429 or 503 that is not tried again loses work that would have succeeded a second later; a 400 that is tried again fails again.", "Leave the default policy, or write one that retries 429, 5xx, timeout and network and never 400.", fourteen, checkStatuses},
		{"R7.1.6", Warning, "Calls are throttled below the provider's limits", "At the limit itself every burst is refused, and some providers ban who goes on.", "Set limits.headroom to 80% or less.", fourteen, checkThrottle},
		{"R7.1.7", Warning, "Retries back off, exponentially and with jitter", "Retries in step with each other keep a struggling provider down.", "Write a growing backoff, such as [1s, 2s, 4s]; jitter is always added.", fourteen, checkBackoff},
		{"R7.1.8", Error, "Webhook signatures are verified first", "Whoever knows the address can tell your product that an invoice was paid.", "Name webhook_secret in every environment, and a profile whose scheme is known.", fourteen, checkSignatures},
		{"R7.1.9", Error, "Events are idempotent by their id", "Providers send events twice; without an id the second is a second payment.", "Complete webhooks.id of the profile.", fourteen, checkEventID},
		{"R7.1.10", Error, "Webhooks are answered at once and processed later", "A provider that waits for your processing gives up, and sends again.", "Hand every event to a destination (to: NAME) or leave it to a Go handler.", fourteen, checkAsynchronous},
		{"R7.1.11", Warning, "Raw payloads are stored, for a declared time", "Without the bytes nothing can be replayed or proven; kept for ever they are a liability.", "Set webhooks.retention.payload, and ids at least as long.", fourteen, checkRetention},
		{"R7.1.12", Warning, "Tests cover the happy path, errors, limits and webhooks", "What no test shows is believed, not known.", "Run your tests against the sandbox with faults.", fourteen, checkTests},
		{"R7.1.13", Warning, "Monitoring: somebody is told, and knows what to do", "An alert without an owner or a runbook is noise.", "Fill in monitoring.owner, notify and runbook.", fourteen, checkMonitoring},
		{"R7.1.14", Warning, "A sandbox is set up, apart from production", "Without one the first real test is a customer's.", "Add an environment that is not production, with its own base_url or test key.", fourteen, checkSandbox},

		{"R0.1", Warning, "No fact in use is only recalled", "A limit or a header from memory is a guess that will be wrong in production.", "Read the provider's documentation and write profile.confirmed.SECTION with a date.", rules, checkRecalled},
		{"R0.2", Warning, "Build, SDK or buy was decided, and why", "Without reasons the decision is made again by whoever comes next.", "Write decision.choice and decision.why.", rules, checkDecision},
		{"R0.3", Note, "The operations are in the provider's document and not deprecated", "A deprecated operation will be switched off.", "Move to the operation that replaces it.", rules, checkDocument},
		{"R2.9", Warning, "Credentials are rotated", "A key that leaked unnoticed works until it is changed.", "Set auth.rotate_every to 90d or less.", "requirements R2.9", checkRotation},
		{"R2.11", Error, "Environments don't share secrets", "A test that runs with the production key charges real customers.", "Give each environment references of its own.", "requirements R2.11", checkShared},
		{"R4.7", Error, "A create is never repeated without an idempotency key", "A POST that is sent again after a timeout makes the second charge.", "Declare idempotency on the endpoint.", corrected, checkIdempotency},
		{"E5", Warning, "Unknown enum values have a written policy", "Providers add values; a mapper without a policy fails or lies on that day.", "Write unknown: fail, keep, null or value:X on the row.", beyond, checkEnums},
		{"E25", Error, "Money is mapped with its currency", "amount ÷ 100 is wrong for JPY and KWD, and floats lose cents.", "Write as: decimal with transform: money(CURRENCY_FIELD).", corrected, checkMoney},
		{"E43", Note, "Events have an ordering key", "Events overtake each other; without a key nobody can tell which state is newer.", "Set webhooks.order_by to the id of the resource.", beyond, checkOrder},
		{"E44", Warning, "Events that never came are looked for", "No provider promises that every webhook arrives.", "Set webhooks.reconcile with an endpoint that lists events.", beyond, checkReconcile},
		{"E54", Warning, "Personal data is classed", "What is not classed is not redacted and not erased.", "Write class: pii on the row.", beyond, checkPersonal},
		{"E77", Note, "The plan has an owner and a review date that is not past", "A plan nobody looks at again is wrong within a year.", "Set decision.owner and decision.review_by.", beyond, checkReviewDate},
		{"S1", Note, "The gateway acts upon every row", "A row that this version does not act upon protects nobody yet.", "Don't rely on the row; the gateway says so at its start as well.", "docs/status.md", checkEnforced},
		{"R8.1", Note, "No question is open", "What nobody answered is decided by accident.", "Answer it in the plan and delete its line.", "requirements R8.1", checkQuestions},
	}
}

package review

import (
	"slices"
	"time"

	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// Options are what a review may look at beside the plan.
type Options struct {
	Now      time.Time         // today, for dates in the plan
	Document *openapi.Document // the provider's document; nil leaves what needs it unknown
	// Code is what a scan of your code said, by rule: Outcomes of its findings.
	// Nil leaves unknown what only code can tell.
	Code map[string]Outcome
}

// Rule is one thing that a plan must keep.
type Rule struct {
	ID       string
	Severity Severity
	Title    string // what must hold
	Why      string // what happens when it does not
	Fix      string // the way out
	Source   string // where the rule comes from
	Example  Example
	Code     bool // about code; package review/code asks it
	check    func(p *plan.Plan, o Options) []answer
}

// The sources of rules.
const (
	fourteen  = "requirements R7.1"
	rules     = "requirements R0"
	corrected = "plan points: where the obvious rule does harm"
	beyond    = "plan points beyond the requirements"
)

// Rules is the whole table, in the order of a review, each with its example.
func Rules() []Rule { return withExamples(slices.Concat(table, resilient)) }

func withExamples(table []Rule) []Rule {
	table = slices.Clone(table)
	for i := range table {
		if one, ok := examples[table[i].ID]; ok {
			table[i].Example = one
		} else {
			table[i].Example = codeExamples[table[i].ID]
		}
	}
	return table
}

var table = []Rule{
	{
		ID: "R7.1.1", Severity: Warning, Source: fourteen, check: checkPinned,
		Title: "The provider's profile is documented: version and document are pinned",
		Why:   "An API that moves under an unpinned plan breaks it without a change of yours.",
		Fix:   "Pin profile.version and profile.spec with its sha256.",
	},
	{
		ID: "R7.1.2", Severity: Error, Source: fourteen, check: checkCredentials,
		Title: "Credentials are references, for every environment",
		Why:   "An environment without its own credentials runs with another's, or not at all.",
		Fix:   "Name the secrets under environments.NAME.secrets as env: or file: references.",
	},
	{
		ID: "R7.1.3", Severity: Warning, Source: fourteen, check: checkWrapper,
		Title: "A wrapper isolates the provider",
		Why:   "Code that speaks the provider's dialect has to change with it, everywhere.",
		Fix:   "Name every operation as an endpoint of the plan and call it by that name.",
	},
	{
		ID: "R7.1.4", Severity: Warning, Source: fourteen, check: checkMapper,
		Title: "A mapper converts between their fields and ours",
		Why:   "Unmapped fields carry the provider's names, units and enum values into your product.",
		Fix:   "Name a mapping: receive for answers, map for events.",
	},
	{
		ID: "R7.1.5", Severity: Error, Source: fourteen, check: checkStatuses,
		Title: "Every HTTP status is handled",
		Why:   "A 429 or 503 that is not tried again loses work that would have succeeded a second later; a 400 that is tried again fails again.",
		Fix:   "Leave the default policy, or write one that retries 429, 5xx, timeout and network and never 400.",
	},
	{
		ID: "R7.1.6", Severity: Warning, Source: fourteen, check: checkThrottle,
		Title: "Calls are throttled below the provider's limits",
		Why:   "At the limit itself every burst is refused, and some providers ban who goes on.",
		Fix:   "Set limits.headroom to 80% or less.",
	},
	{
		ID: "R7.1.7", Severity: Warning, Source: fourteen, check: checkBackoff,
		Title: "Retries back off, exponentially and with jitter",
		Why:   "Retries in step with each other keep a struggling provider down.",
		Fix:   "Write a growing backoff, such as [1s, 2s, 4s]; jitter is always added.",
	},
	{
		ID: "R7.1.8", Severity: Error, Source: fourteen, check: checkSignatures,
		Title: "Webhook signatures are verified first",
		Why:   "Whoever knows the address can tell your product that an invoice was paid.",
		Fix:   "Name webhook_secret in every environment, and a profile whose scheme is known.",
	},
	{
		ID: "R7.1.9", Severity: Error, Source: fourteen, check: checkEventID,
		Title: "Events are idempotent by their id, for as long as a provider repeats them",
		Why:   "Providers send events twice, days later as well; without the id at hand the second is a second payment.",
		Fix:   "Complete webhooks.id of the profile; keep ids 7d or longer (webhooks.retention.ids).",
	},
	{
		ID: "R7.1.10", Severity: Error, Source: fourteen, check: checkAsynchronous,
		Title: "Webhooks are answered at once and processed later",
		Why:   "Whoever has to wait for the work gives up, and sends again while it is still being done.",
		Fix:   "Let the destination store the event and answer; give it 30s at most (destinations.NAME.timeout).",
	},
	{
		ID: "R7.1.11", Severity: Warning, Source: fourteen, check: checkRetention,
		Title: "Raw payloads are stored, for a declared time",
		Why:   "Without the bytes nothing can be replayed or proven; kept for ever they are a liability.",
		Fix:   "Set webhooks.retention.ids to as long as payload at least; without either it is 90d and 30d.",
	},
	{
		ID: "R7.1.12", Severity: Warning, Source: fourteen, check: checkTests,
		Title: "Tests cover the happy path, errors, limits and webhooks",
		Why:   "What no test shows is believed, not known.",
		Fix:   "Name it where it is used (send, receive, map, to, as), or take it out of the plan.",
	},
	{
		ID: "R7.1.13", Severity: Warning, Source: fourteen, check: checkMonitoring,
		Title: "Monitoring: somebody is told, and knows what to do",
		Why:   "An alert without an owner or a runbook is noise.",
		Fix:   "Fill in monitoring.owner, notify and runbook.",
	},
	{
		ID: "R7.1.14", Severity: Warning, Source: fourteen, check: checkSandbox,
		Title: "A sandbox is set up, apart from production",
		Why:   "Without one the first real test is a customer's.",
		Fix:   "Add an environment that is not production, with its own base_url or test key.",
	},

	{
		ID: "R0.1", Severity: Warning, Source: rules, check: checkRecalled,
		Title: "No fact in use is only recalled",
		Why:   "A limit or a header from memory is a guess that will be wrong in production.",
		Fix:   "Read the provider's documentation and write profile.confirmed.SECTION with a date.",
	},
	{
		ID: "R0.2", Severity: Warning, Source: rules, check: checkDecision,
		Title: "Build, SDK or buy was decided, and why",
		Why:   "Without reasons the decision is made again by whoever comes next.",
		Fix:   "Write decision.choice and decision.why.",
	},
	{
		ID: "R0.3", Severity: Warning, Source: rules, check: checkDocument,
		Title: "The plan fits the provider's document: the pinned one, with every operation in it, none deprecated",
		Why:   "What is deprecated will be switched off; what is not in the document may never have been there.",
		Fix:   "Correct the call, or move to the operation that replaces it; after a look at the changes pin the new document.",
	},
	{
		ID: "R0.4", Severity: Note, Source: rules, check: checkFallback,
		Title: "Every endpoint says what a caller gets while the provider is down",
		Why:   "What nobody decided is decided by the first outage.",
		Fix:   "Write fallback: queue where the call may happen later, or fail where it may not.",
	},
	{
		ID: "R0.8", Severity: Warning, Source: rules, check: checkMarks,
		Title: "No plan, document, comment or generated code says which machine wrote it",
		Why:   "Who reads it wants to know what holds and who answers for it; a mark of a tool says neither.",
		Fix:   "Delete the sentence.",
	},
	{
		ID: "R2.9", Severity: Warning, Source: "requirements R2.9", check: checkRotation,
		Title: "Credentials are rotated",
		Why:   "A key that leaked unnoticed works until it is changed.",
		Fix:   "Set auth.rotate_every to 90d or less.",
	},
	{
		ID: "R2.11", Severity: Error, Source: "requirements R2.11", check: checkShared,
		Title: "No two environments share a secret",
		Why:   "A test that runs with the production key charges real customers.",
		Fix:   "Give each environment references of its own: env:STRIPE_API_KEY and env:STRIPE_PRODUCTION_API_KEY.",
	},
	{
		ID: "R4.2", Severity: Warning, Source: corrected, check: checkUnauthorized,
		Title: "A 401 is tried again once at most",
		Why:   "A key that was refused twice stays refused; many workers that go on refreshing revoke each other's tokens, and some providers lock the account.",
		Fix:   "Write errors.401.retry: 1, or leave the default policy.",
	},
	{
		ID: "R4.7", Severity: Error, Source: corrected, check: checkIdempotency,
		Title: "A create is never repeated without an idempotency key",
		Why:   "A POST that is sent again after a timeout makes the second charge.",
		Fix:   "Declare idempotency on the endpoint.",
	},
	{
		ID: "R5.7", Severity: Note, Source: "requirements R5.7", check: checkRedacted,
		Title: "Personal data in payloads is kept out of logs and lists",
		Why:   "A mapping's class guards the mapped value; the exact bytes hold the same data once more.",
		Fix:   "Name the path under webhooks.redact.",
	},
	{
		ID: "E5", Severity: Warning, Source: beyond, check: checkEnums,
		Title: "Unknown enum values have a written policy",
		Why:   "Providers add values; a mapper without a policy fails or lies on that day.",
		Fix:   "Write unknown: fail, keep, null or value:X on the row.",
	},
	{
		ID: "E9", Severity: Warning, Source: beyond, check: checkEffect,
		Title: "The effect of an endpoint fits its method",
		Why:   "Effect decides what is tried again; a create that is called an update is made twice after a timeout.",
		Fix:   "Set effect to what repeating the call would do: read, update, create or irreversible.",
	},
	{
		ID: "E10", Severity: Warning, Source: beyond, check: checkKeyWindow,
		Title: "Idempotency keys are the provider's own, for no longer than it remembers them",
		Why:   "A header the provider doesn't know is ignored, and a key it has forgotten makes another one.",
		Fix:   "Write the header and the time that the provider documents: idempotency: {header: NAME, keep: TIME}.",
	},
	{
		ID: "E25", Severity: Error, Source: corrected, check: checkMoney,
		Title: "Money is mapped with its currency",
		Why:   "amount ÷ 100 is wrong for JPY and KWD, and floats lose cents.",
		Fix:   "Write as: decimal with transform: money(CURRENCY_FIELD).",
	},
	{
		ID: "E43", Severity: Note, Source: beyond, check: checkOrder,
		Title: "Events have an ordering key",
		Why:   "Events overtake each other; without a key nobody can tell which state is newer.",
		Fix:   "Set webhooks.order_by to the id of the resource.",
	},
	{
		ID: "E44", Severity: Warning, Source: beyond, check: checkReconcile,
		Title: "Events that never came are looked for",
		Why:   "No provider promises that every webhook arrives.",
		Fix:   "Set webhooks.reconcile with an endpoint that lists events.",
	},
	{
		ID: "E54", Severity: Warning, Source: beyond, check: checkPersonal,
		Title: "Personal data is classed",
		Why:   "What is not classed is not redacted and not erased.",
		Fix:   "Write class: pii on the row.",
	},
	{
		ID: "E77", Severity: Note, Source: beyond, check: checkReviewDate,
		Title: "The plan has an owner and a review date that is not past",
		Why:   "A plan nobody looks at again is wrong within a year.",
		Fix:   "Set decision.owner and decision.review_by.",
	},
	{
		ID: "S1", Severity: Note, Source: "docs/status.md", check: checkEnforced,
		Title: "The gateway acts upon every row",
		Why:   "A row that this version does not act upon protects nobody yet.",
		Fix:   "Don't rely on the row; the gateway says so at its start as well.",
	},
	{
		ID: "R8.1", Severity: Note, Source: "requirements R8.1", check: checkQuestions,
		Title: "No question is open",
		Why:   "What nobody answered is decided by accident.",
		Fix:   "Answer it in the plan and delete its line.",
	},
}

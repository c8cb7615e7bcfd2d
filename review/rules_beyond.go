package review

// resilient are the rules about what happens when something goes wrong, and
// about what a plan must know of the provider for it.
var resilient = []Rule{
	{
		ID: "R4.4", Severity: Note, Source: "requirements R4.4; " + corrected, check: checkMissing,
		Title: "Somebody is told when a resource is gone at the provider",
		Why:   "Your copy of what was deleted there lives on, is shown, billed and synchronised.",
		Fix:   "Write errors.404: {retry: never, tell: DESTINATION}; let it confirm before it deletes.",
	},
	{
		ID: "R4.5", Severity: Note, Source: "requirements R4.5", check: checkConflict,
		Title: "Every update says whose values stand in a conflict",
		Why:   "The last writer wins, and nobody sees what it wrote over.",
		Fix:   "Write on_conflict on the endpoint: {read: ENDPOINT, keep: ours, theirs or fail}.",
	},
	{
		ID: "R4.10", Severity: Error, Source: "requirements R4.10", check: checkFixedAnswer,
		Title: "No change is answered out of a cache or by a fixed text",
		Why:   "The caller is told that the money moved while nothing was sent.",
		Fix:   "Write fallback: queue where the change may happen later, or fail.",
	},
	{
		ID: "E2", Severity: Note, Source: beyond, check: checkFresh,
		Title: "What was confirmed was confirmed within a year",
		Why:   "Limits, headers and schedules change without a word.",
		Fix:   "Look it up again and write the new date under profile.confirmed.",
	},
	{
		ID: "E12", Severity: Warning, Source: beyond, check: checkTimeouts,
		Title: "A timeout leaves time for a second attempt",
		Why:   "A call that uses up its whole deadline waiting is never tried again, whatever the policy says.",
		Fix:   "Shorten timeout on the endpoint, or lengthen calls.deadline.",
	},
	{
		ID: "E13", Severity: Warning, Source: beyond, check: checkRetryBudget,
		Title: "Retries are a small part of all calls",
		Why:   "A provider in trouble that gets twice the calls stays in trouble.",
		Fix:   "Set calls.retry_budget to 50% or less; 20% is the default.",
	},
	{
		ID: "E14", Severity: Warning, Source: beyond, check: checkOutcome,
		Title: "What became of a call without an answer can be found out",
		Why:   "A payment of which nobody knows whether it was made is made again, or never.",
		Fix:   "Write on_unknown on the endpoint: the endpoint that lists what it makes, and the fields to tell it by.",
	},
	{
		ID: "E15", Severity: Warning, Source: beyond, check: checkBreaker,
		Title: "The breaker can open",
		Why:   "Without it every caller waits for a dead provider, until your own threads and connections are used up.",
		Fix:   "Leave the defaults, or choose numbers that a bad day reaches.",
	},
	{
		ID: "E16", Severity: Error, Source: beyond, check: checkQueue,
		Title: "What waits in the queue does no harm when it is sent late",
		Why:   "After the provider forgot its key a queued call makes a second one.",
		Fix:   "Give the endpoint an idempotency key that is kept longer than calls.expire, or another fallback.",
	},
	{
		ID: "E17", Severity: Warning, Source: beyond, check: checkObserved,
		Title: "Limits are enforced in production",
		Why:   "Watching a limit does not keep it; the provider will.",
		Fix:   "Take limits.mode out, or write enforce.",
	},
	{
		ID: "E19", Severity: Note, Source: beyond, check: checkKnown("E19"),
		Title: "It is known how lists go on",
		Why:   "A list that stops at its first page looks complete.",
		Fix:   "Add pagination to the provider's profile.",
	},
	{
		ID: "E21", Severity: Warning, Source: beyond, check: checkBulk,
		Title: "A part that fails in a bulk call is told apart",
		Why:   "A 200 for the whole hides the one of a hundred that was refused.",
		Fix:   "Name the field that only failed answers have: bulk.error.",
	},
	{
		ID: "E26", Severity: Note, Source: beyond, check: checkKnown("E26"),
		Title: "The provider's request id is known",
		Why:   "Its support can't find your call without it.",
		Fix:   "Add errors.request_id_header to the provider's profile.",
	},
	{
		ID: "E33", Severity: Warning, Source: beyond, check: checkMixed,
		Title: "No environment uses a secret that is named for another",
		Why:   "A test with the live key charges real customers; production with the test key charges nobody.",
		Fix:   "Name the reference for its environment, and look at what it holds.",
	},
	{
		ID: "E35", Severity: Warning, Source: beyond, check: checkEncrypted,
		Title: "Credentials and events travel encrypted",
		Why:   "Everyone on the way reads the key and the customers' data.",
		Fix:   "Use https, and ?tls=true behind the address of a broker.",
	},
	{
		ID: "E41", Severity: Note, Source: beyond, check: checkKnown("E41"),
		Title: "It is known how often an event is sent again",
		Why:   "It says how long an outage may last before events are lost.",
		Fix:   "Add webhooks.retries to the provider's profile.",
	},
	{
		ID: "E66", Severity: Note, Source: beyond, check: checkKnown("E66"),
		Title: "The provider's status page is known",
		Why:   "Half of every outage goes into finding out whose it is.",
		Fix:   "Add service.status_page to the provider's profile.",
	},
	{
		ID: "E67", Severity: Note, Source: beyond, check: checkSilence,
		Title: "Silence is an alert",
		Why:   "No calls means no errors: every graph is green on the day the integration stops.",
		Fix:   "Set monitoring.expect_calls_every.",
	},
}

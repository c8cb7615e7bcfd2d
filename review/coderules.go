package review

import "fmt"

// codeTable are the rules that only code can break; package review/code checks
// them. R0.8 is asked of plans and of code, and stands in table.
var codeTable = []Rule{
	{
		ID: "R0.6", Severity: Warning, Source: rules, Code: true,
		Title: "Only the adapter knows the provider: its hosts and its SDK stand nowhere else",
		Why:   "What the provider changes has to be changed in every place that knows it, and each place has its own idea of limits, retries and secrets.",
		Fix:   "Call through the adapter, or name the folder that is the adapter: --adapter DIR.",
	},
	{
		ID: "R2.1", Severity: Error, Source: "requirements R2.1", Code: true,
		Title: "No file of secrets is kept with the code",
		Why:   "Everyone who can read the repository, now or in ten years, can use the secrets; deleting the file leaves them in its history.",
		Fix:   "git rm --cached FILE, add it to .gitignore, replace the secrets, and keep an example with empty values.",
	},
	{
		ID: "R7.2.1", Severity: Error, Source: antipatterns, Code: true,
		Title: "No secret is written in code",
		Why:   "A key in code is a key in every clone, build log and backup.",
		Fix:   "Replace the secret at the provider, then read it from the environment or a secret manager.",
	},
	{
		ID: "R7.2.2", Severity: Warning, Source: antipatterns, Code: true,
		Title: "No request handler waits for the provider",
		Why:   "A slow provider makes every page slow and a dead one takes your servers with it.",
		Fix:   "Answer from your own data and make the call in a job; where the caller must wait, call through the gateway, which has the limits, the breaker and a fallback.",
	},
	{
		ID: "R7.2.3", Severity: Warning, Source: antipatterns, Code: true,
		Title: "A provider call that fails is noticed",
		Why:   "A thrown-away error is a payment, a message or a record that everyone believes in.",
		Fix:   "Look at the error: try again what may be tried again, keep the rest for a person.",
	},
	{
		ID: "R7.2.4", Severity: Warning, Source: antipatterns, Code: true,
		Title: "A webhook is answered before the work is done",
		Why:   "The provider gives up waiting and sends the event again while the first one is still being worked on.",
		Fix:   "Store the event, answer, and work on it afterwards; or let the gateway receive it.",
	},
	{
		ID: "R7.2.5", Severity: Error, Source: antipatterns, Code: true,
		Title: "A webhook handler verifies the signature",
		Why:   "Whoever knows the address can tell your product that an invoice was paid.",
		Fix:   "Verify the raw bytes before they are parsed, with the provider's library or by receiving through the gateway.",
	},
	{
		ID: "I1", Severity: Warning, Source: suppressing, Code: true,
		Title: "What is ignored has a reason and a date that is not past",
		Why:   "An exception without an end becomes the rule.",
		Fix:   "Write sallyport:ignore RULE until=YYYY-MM-DD reason=WHY, or mend what is ignored and delete the comment.",
	},
	{
		ID: "I2", Severity: Note, Source: suppressing, Code: true,
		Title: "Every comment that ignores a rule still ignores something",
		Why:   "A comment about what was mended long ago hides the next finding at its place.",
		Fix:   "Delete the comment.",
	},
}

const (
	antipatterns = "requirements R7.2: the eight anti-patterns"
	suppressing  = "docs/review.md"
)

// CodeRules is the table of rules that only code can break, each with its
// example.
func CodeRules() []Rule { return withExamples(codeTable) }

// AllRules is Rules and CodeRules.
func AllRules() []Rule { return append(Rules(), CodeRules()...) }

// NewFinding is a finding of a rule by its id, with the rule's texts. Who makes
// it adds the place. An id that is in no table is a mistake in the program, and
// is said in the finding rather than by a panic.
func NewFinding(rule string, o Outcome, message string) Finding {
	for _, table := range [][]Rule{table, resilient, codeTable} {
		for _, r := range table {
			if r.ID != rule {
				continue
			}
			f := Finding{Rule: r.ID, Severity: r.Severity, Outcome: o, Title: r.Title, Message: oneLine(message), Why: r.Why, Source: r.Source}
			if o == Fail || o == Unknown {
				f.Fix = r.Fix
			}
			return f
		}
	}
	return Finding{Rule: rule, Severity: Warning, Outcome: Unknown, Title: fmt.Sprintf("there is no rule %s", rule), Message: oneLine(message)}
}

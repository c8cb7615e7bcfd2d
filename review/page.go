package review

//go:generate go run ./internal/page ../docs/rules.md

import (
	"fmt"
	"strings"
)

// patternRules are the eight anti-patterns (R7.2) and the rules that look for
// them, in the plan and in code.
var patternRules = []struct{ pattern, plan, code string }{
	{"hard-coded keys", "R7.1.2", "R7.2.1, R2.1"},
	{"an external call in a request handler", "", "R7.2.2"},
	{"no retry on transient errors", "R7.1.5, R7.1.7", "R7.2.3"},
	{"synchronous webhook processing", "R7.1.10", "R7.2.4"},
	{"no signature check", "R7.1.8", "R7.2.5"},
	{"no idempotency", "R4.7, E10, R7.1.9", ""},
	{"tight coupling to the provider's schema", "R7.1.3, R7.1.4", "R0.6"},
	{"no monitoring", "R7.1.13, E67", ""},
}

// RulesPage is the page of documentation about all rules, in Markdown. It is
// made of the rules themselves, so that it can't say anything else than they do.
func RulesPage() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# Rules of the review

Made of the rules by go generate ./review; don't edit. What a review is and how to run it: [review](review.md).

Each rule answers with pass, fail, not applicable or unknown. Only a failed rule of severity error makes the exit status 1.

`)
	section(&b, "Plans", Rules())
	section(&b, "Code", CodeRules())
	b.WriteString("## The eight anti-patterns\n\n| anti-pattern | in the plan | in code |\n| --- | --- | --- |\n")
	for _, one := range patternRules {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", one.pattern, links(one.plan), links(one.code))
	}
	for _, r := range AllRules() {
		fmt.Fprintf(&b, "\n## %s\n\n**%s.** Severity: %s.\n\n%s\n\n%s\n", r.ID, r.Title, r.Severity, r.Why, r.help())
	}
	return []byte(strings.TrimRight(b.String(), "\n") + "\n")
}

func section(b *strings.Builder, title string, list []Rule) {
	fmt.Fprintf(b, "## %s\n\n| rule | severity | what must hold |\n| --- | --- | --- |\n", title)
	for _, r := range list {
		fmt.Fprintf(b, "| %s | %s | %s |\n", links(r.ID), r.Severity, cell(r.Title))
	}
	b.WriteString("\n")
}

// links are ids of rules as links to their sections.
func links(ids string) string {
	var out []string
	for id := range strings.SplitSeq(ids, ", ") {
		if id != "" {
			out = append(out, "["+id+"](#"+strings.ToLower(strings.ReplaceAll(id, ".", ""))+")")
		}
	}
	return strings.Join(out, ", ")
}

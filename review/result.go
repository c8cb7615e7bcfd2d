// Package review checks a plan against the rules: the fourteen checks (R7.1),
// the rules that hold everywhere (R0), and those where the obvious practice
// does harm. It thinks: it opens no socket and reads no clock.
//
// Every rule answers with one of four outcomes, kept apart: pass, fail, not
// applicable, unknown. Unknown says what would settle it; it is an answer, not
// a failure. A rule's examples, one good and one bad, are tested against it.
package review

import (
	"cmp"
	"slices"

	"github.com/sallyport/sallyport/plan"
)

// Severity is how bad a failed rule is.
type Severity string

// The severities. Only a failed error makes a review fail.
const (
	Error   Severity = "error"   // loses money, events or secrets
	Warning Severity = "warning" // will hurt later
	Note    Severity = "note"    // worth knowing
)

// Outcome is what a rule says of a plan.
type Outcome string

// The outcomes.
const (
	Pass          Outcome = "pass"
	Fail          Outcome = "fail"
	NotApplicable Outcome = "not_applicable"
	Unknown       Outcome = "unknown"
)

// Finding is one answer of one rule. A rule that passes, does not apply or
// can't be decided has one; a rule that fails has one for each place.
type Finding struct {
	Rule     string   `json:"rule"`     // id: R7.1.6
	Severity Severity `json:"severity"` // of the rule
	Outcome  Outcome  `json:"outcome"`
	Title    string   `json:"title"`            // of the rule
	Message  string   `json:"message"`          // what was found here
	File     string   `json:"file,omitempty"`   // as the plan was loaded
	Line     int      `json:"line,omitempty"`   // from 1; 0 is the file as a whole
	Column   int      `json:"column,omitempty"` // from 1
	Path     string   `json:"path,omitempty"`   // place in the plan: limits.headroom
	Why      string   `json:"why"`              // what happens when it is broken
	Fix      string   `json:"fix,omitempty"`    // the way out; for unknown, what would settle it
	Source   string   `json:"source"`           // where the rule comes from
}

// Result is the review of one or several plans.
type Result struct {
	Plans    []string  `json:"plans"` // services, in the order reviewed
	Findings []Finding `json:"findings"`
}

// Add puts the findings of another review behind these.
func (r *Result) Add(other *Result) {
	r.Plans = append(r.Plans, other.Plans...)
	r.Findings = append(r.Findings, other.Findings...)
}

// Failed reports whether a rule of severity error failed.
func (r *Result) Failed() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Outcome == Fail && f.Severity == Error })
}

// Count is how many findings have the outcome.
func (r *Result) Count(o Outcome) int {
	n := 0
	for _, f := range r.Findings {
		if f.Outcome == o {
			n++
		}
	}
	return n
}

// order is how people read: failures first, the worst first.
func (r *Result) order() []Finding {
	outcomes := []Outcome{Fail, Unknown, Pass, NotApplicable}
	severities := []Severity{Error, Warning, Note}
	out := slices.Clone(r.Findings)
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(outcomes, a.Outcome), slices.Index(outcomes, b.Outcome)),
			cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity)),
		)
	})
	return out
}

// answer is what a check returns: an outcome, at a place.
type answer struct {
	outcome Outcome
	path    string // place in the plan
	message string
	fix     string // replaces the rule's own where it can say more
}

func pass(message string) []answer   { return []answer{{outcome: Pass, message: message}} }
func absent(message string) []answer { return []answer{{outcome: NotApplicable, message: message}} }
func open(message, settles string) []answer {
	return []answer{{outcome: Unknown, message: message, fix: settles}}
}

// or is the failures, or a pass when there are none.
func or(failures []answer, message string) []answer {
	if len(failures) == 0 {
		return pass(message)
	}
	return failures
}

// Plan reviews one plan. Its Provider must be set, as plan.Load does.
func Plan(p *plan.Plan, o Options) *Result {
	r := &Result{Plans: []string{p.Service}}
	for _, rule := range Rules() {
		for _, a := range rule.check(p, o) {
			f := Finding{
				Rule: rule.ID, Severity: rule.Severity, Outcome: a.outcome, Title: rule.Title, Message: a.message,
				File: p.File, Path: a.path, Why: rule.Why, Fix: cmp.Or(a.fix, rule.Fix), Source: rule.Source,
			}
			if a.outcome == Pass || a.outcome == NotApplicable {
				f.Fix = ""
			}
			if a.path != "" {
				at := p.Position(a.path)
				f.Line, f.Column = at.Line, at.Column
			}
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}

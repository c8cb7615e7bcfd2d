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
	"strconv"
	"strings"
	"unicode"

	"github.com/sallyport/sallyport/catalog"
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
	Rows     []string `json:"rows,omitempty"`   // ids of the plan's rows it is about, as plan.Rows names them
	Why      string   `json:"why"`              // what happens when it is broken
	Fix      string   `json:"fix,omitempty"`    // the way out; for unknown, what would settle it
	Source   string   `json:"source"`           // where the rule comes from
	// Fingerprint tells this failure from others although lines move. Only
	// failures have one.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Suppressed says who asked that the failure be let pass; nil: nobody.
	Suppressed *Suppression `json:"suppressed,omitempty"`
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

// Failed reports whether a rule of severity error failed, and nobody asked that
// it be let pass.
func (r *Result) Failed() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool {
		return f.Outcome == Fail && f.Severity == Error && f.Suppressed == nil
	})
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

// let puts what is let pass behind the rest.
func let(f Finding) int {
	if f.Suppressed != nil {
		return 1
	}
	return 0
}

// order is how people read: failures first, the worst first.
func (r *Result) order() []Finding {
	outcomes := []Outcome{Fail, Unknown, Pass, NotApplicable}
	severities := []Severity{Error, Warning, Note}
	out := slices.Clone(r.Findings)
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(let(a), let(b)),
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
	fix     string   // replaces the rule's own where it can say more
	rows    []string // ids; those at path when empty
}

func pass(message string) []answer   { return []answer{{outcome: Pass, message: message}} }
func absent(message string) []answer { return []answer{{outcome: NotApplicable, message: message}} }

// passAt is a pass that rests on one place in the plan.
func passAt(path, message string) []answer {
	return []answer{{outcome: Pass, path: path, message: message}}
}

func open(message, settles string) []answer {
	return []answer{{outcome: Unknown, message: message, fix: settles}}
}

// count is a number with its noun: 1 endpoint, 2 endpoints.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// or is the failures, or a pass when there are none.
func or(failures []answer, message string) []answer {
	if len(failures) == 0 {
		return pass(message)
	}
	return failures
}

// Plan reviews one plan. Without a Provider, which plan.Load sets, every fact
// about the provider counts as missing.
func Plan(p *plan.Plan, o Options) *Result {
	if p.Provider == nil {
		bare := *p
		bare.Provider = &catalog.Profile{}
		p = &bare
	}
	r := &Result{Plans: []string{p.Service}}
	all := p.Rows()
	idle := map[string]bool{} // rows that are plans only
	for _, row := range p.Unenforced() {
		idle[row.ID] = true
	}
	for _, rule := range Rules() {
		for _, a := range rule.check(p, o) {
			f := Finding{
				Rule: rule.ID, Severity: rule.Severity, Outcome: a.outcome, Title: rule.Title, Message: oneLine(a.message),
				File: p.File, Path: a.path, Why: rule.Why, Fix: oneLine(cmp.Or(a.fix, rule.Fix)), Source: rule.Source,
				Rows: a.rows,
			}
			if a.outcome == Pass || a.outcome == NotApplicable {
				f.Fix = ""
			}
			if a.path != "" {
				at := p.Position(a.path)
				f.Line, f.Column = at.Line, at.Column
				if f.Rows == nil {
					f.Rows = rowsAt(p, all, a.path)
				}
			}
			if f.Outcome == Fail {
				// A path is made of names: the failure stays the same one when lines move.
				f.Fingerprint = Fingerprint(f.Rule, p.Service, a.path, a.message)
			}
			if f.Outcome == Pass && slices.ContainsFunc(f.Rows, func(id string) bool { return idle[id] }) {
				// The plan keeps the rule; nobody should think the gateway does.
				f.Message += plannedOnly
			}
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}

// plannedOnly ends the message of a pass that rests on a row of rule S1.
const plannedOnly = "; planned, not acted upon yet (S1)"

// oneLine makes text from a plan safe at a terminal and in every format: a
// message is one line without control characters, nor those that turn the
// direction of text.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// sections are the parts of a plan whose rows have an id by another name.
var sections = map[string]string{
	"environments": "environment", "endpoints": "endpoint", "mappings": "mapping", "errors": "error",
	"limits": "limit", "webhooks": "webhook", "destinations": "destination",
}

// rowsAt are the ids of the rows that stand at a path of the plan or below it.
func rowsAt(p *plan.Plan, all []plan.Row, path string) []string {
	section, rest, _ := strings.Cut(path, ".")
	prefix := cmp.Or(sections[section], section)
	switch {
	case section == "profile" || rest == "" || path == "limits.headroom":
		return nil // the whole section: too many to be of use
	case section == "environments":
		rest, _, _ = strings.Cut(rest, ".")
	case strings.HasPrefix(path, "webhooks.events."):
		prefix, rest = "event", strings.TrimPrefix(path, "webhooks.events.")
	case section == "mappings":
		if name, at, ok := strings.Cut(rest, "["); ok {
			if i, err := strconv.Atoi(strings.TrimSuffix(at, "]")); err == nil && i < len(p.Mappings[name]) {
				rest = name + "." + p.Mappings[name][i].External
			}
		}
	}
	id := prefix + "." + rest
	var out []string
	for _, row := range all {
		if row.ID == id || strings.HasPrefix(row.ID, id+".") {
			out = append(out, row.ID)
		}
	}
	return out
}

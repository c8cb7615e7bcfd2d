package review

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// checkTests keeps R7.1.12: a plan does not hold test results.
func checkTests(p *plan.Plan, _ Options) []answer {
	if len(p.Endpoints) == 0 && !usesWebhooks(p) {
		return absent("the plan has nothing to test")
	}
	return open(fmt.Sprintf("%d rows can be proven; a plan does not hold the results of tests", len(p.Rows())),
		"Run your tests against: sallyport sandbox PLAN --faults FILE.")
}

// checkMonitoring keeps R7.1.13.
func checkMonitoring(p *plan.Plan, _ Options) []answer {
	var missing []string
	for _, one := range []struct {
		name string
		set  bool
	}{{"owner", p.Monitoring.Owner != ""}, {"notify", len(p.Monitoring.Notify) > 0}, {"runbook", p.Monitoring.Runbook != ""}} {
		if !one.set {
			missing = append(missing, one.name)
		}
	}
	if len(missing) > 0 {
		return []answer{{outcome: Fail, path: "monitoring", message: "monitoring lacks " + strings.Join(missing, ", ")}}
	}
	return pass(p.Monitoring.Owner + " is told")
}

// checkSandbox keeps R7.1.14.
func checkSandbox(p *plan.Plan, _ Options) []answer {
	for _, name := range sorted(p.Environments) {
		if plan.Production(name) {
			continue
		}
		switch {
		case p.Environments[name].BaseURL != "":
			return pass(fmt.Sprintf("%s goes to %s", name, p.Environments[name].BaseURL))
		case p.Provider.Sandbox.Kind == "key_prefix":
			return pass(name + " uses the provider's test mode, told by its key")
		}
	}
	return []answer{{outcome: Fail, path: "environments", message: "no environment but production has a place to go to"}}
}

// checkRecalled keeps R0.1. The sections about what a plan does not use are
// left alone.
func checkRecalled(p *plan.Plan, _ Options) []answer {
	unused := map[string]bool{"service": true, "sdk": true, "pagination": true, "document": true}
	if !usesWebhooks(p) {
		unused["webhooks"] = true
	}
	var out []answer
	for _, s := range p.Provider.Sections() {
		if unused[s.Name] || s.Name == "auth" && !usesAuth(p, s.Path) {
			continue
		}
		if _, ok := p.Confirmed(s.Name); ok {
			continue
		}
		fix := fmt.Sprintf("Read %s and write profile.confirmed.%s: {on: DATE, by: NAME}.", strings.Join(s.Provenance.Source, ", "), s.Name)
		if s.Provenance.Confidence == catalog.Recalled {
			out = append(out, answer{outcome: Fail, path: "profile", message: fmt.Sprintf("all of %s is only recalled", s.Path), fix: fix})
		} else if len(s.Provenance.Unsure) > 0 {
			out = append(out, answer{outcome: Fail, path: "profile", message: fmt.Sprintf("in %s, only recalled: %s", s.Path, strings.Join(s.Provenance.Unsure, ", ")), fix: fix})
		}
	}
	return or(out, "every fact in use was read somewhere, or confirmed")
}

// usesAuth reports whether the section at path is the kind the plan uses.
func usesAuth(p *plan.Plan, path string) bool {
	for i, a := range p.Provider.Auth {
		if strings.HasSuffix(path, fmt.Sprintf("[%d]", i)) {
			return a.Kind == p.Auth.Use
		}
	}
	return true
}

// checkDecision keeps R0.2.
func checkDecision(p *plan.Plan, _ Options) []answer {
	if p.Decision == nil {
		return []answer{{outcome: Fail, path: "", message: "nobody wrote down whether to build, use an SDK or buy"}}
	}
	return pass(p.Decision.Choice)
}

const quarter = 90 * 24 * time.Hour

// checkRotation keeps R2.9.
func checkRotation(p *plan.Plan, _ Options) []answer {
	switch every := p.Auth.RotateEvery; {
	case every == 0:
		return []answer{{outcome: Fail, path: "auth", message: "nothing says how often the credential is changed"}}
	case time.Duration(every) > quarter:
		return []answer{{outcome: Fail, path: "auth.rotate_every", message: fmt.Sprintf("every %s is less than once a quarter", every)}}
	default:
		return pass("every " + every.String())
	}
}

// checkShared keeps R2.11.
func checkShared(p *plan.Plan, _ Options) []answer {
	if len(p.Environments) < 2 {
		return absent("there is one environment")
	}
	users := map[string][]string{}
	for _, name := range sorted(p.Environments) {
		for _, secret := range sorted(p.Environments[name].Secrets) {
			for _, reference := range p.Environments[name].Secrets[secret] {
				if !slices.Contains(users[reference], name) {
					users[reference] = append(users[reference], name)
				}
			}
		}
	}
	var out []answer
	for _, reference := range sorted(users) {
		names := users[reference]
		if len(names) > 1 && slices.ContainsFunc(names, plan.Production) {
			out = append(out, answer{outcome: Fail, path: "environments." + names[0] + ".secrets", message: fmt.Sprintf("%s is used by %s", reference, strings.Join(names, " and "))})
		}
	}
	return or(out, "production's secrets are its own")
}

// checkEnums keeps E5.
func checkEnums(p *plan.Plan, _ Options) []answer {
	enums := 0
	return rows(p, "no row maps an enum", func(r plan.MappingRow) string {
		if r.As != "enum" {
			return ""
		}
		enums++
		if r.Unknown == "" {
			return "does not say what to do with a value it does not know"
		}
		return ""
	}, func() string { return fmt.Sprintf("%d enums, each with a policy", enums) })
}

var amount = regexp.MustCompile(`(^|_)(amount|balance|total|subtotal|price|fee|cost)(_|$)`)

// checkMoney keeps E25: a whole number called like money is minor units.
func checkMoney(p *plan.Plan, _ Options) []answer {
	money := 0
	return rows(p, "no row looks like money", func(r plan.MappingRow) string {
		last := r.External[strings.LastIndexByte(r.External, '.')+1:]
		if r.Type != "integer" || !amount.MatchString(last) {
			return ""
		}
		money++
		if !strings.HasPrefix(r.Transform, "money(") {
			return "looks like an amount in minor units and is mapped without its currency"
		}
		return ""
	}, func() string { return fmt.Sprintf("%d amounts, each with its currency", money) })
}

var personal = regexp.MustCompile(`(^|_)(email|phone|first_name|last_name|full_name|birth(day|date)?|address|ssn|tax_id)(_|$)`)

// checkPersonal keeps E54.
func checkPersonal(p *plan.Plan, _ Options) []answer {
	classed := 0
	return rows(p, "no row looks like personal data", func(r plan.MappingRow) string {
		last := r.External[strings.LastIndexByte(r.External, '.')+1:]
		if !personal.MatchString(last) {
			return ""
		}
		classed++
		if r.Class == "" {
			return "looks like personal data and has no class"
		}
		return ""
	}, func() string { return fmt.Sprintf("%d fields are classed", classed) })
}

// rows asks about every mapping row; wrong answers with what is wrong with one.
// It is not applicable where seen says that no row was of the kind.
func rows(p *plan.Plan, none string, wrong func(plan.MappingRow) string, seen func() string) []answer {
	var out []answer
	for _, name := range sorted(p.Mappings) {
		for i, r := range p.Mappings[name] {
			if what := wrong(r); what != "" {
				out = append(out, answer{outcome: Fail, path: fmt.Sprintf("mappings.%s[%d]", name, i), message: fmt.Sprintf("%s.%s %s", name, r.External, what)})
			}
		}
	}
	if len(out) > 0 {
		return out
	}
	if text := seen(); !strings.HasPrefix(text, "0 ") {
		return pass(text)
	}
	return absent(none)
}

// checkReviewDate keeps E77.
func checkReviewDate(p *plan.Plan, o Options) []answer {
	var out []answer
	if p.Decision == nil || p.Decision.Owner == "" {
		out = append(out, answer{outcome: Fail, path: "decision", message: "the plan has no owner (decision.owner)"})
	}
	switch {
	case p.Decision == nil || p.Decision.ReviewBy == "":
		out = append(out, answer{outcome: Fail, path: "decision", message: "the plan has no review date (decision.review_by)"})
	default:
		day, err := time.Parse(time.DateOnly, p.Decision.ReviewBy)
		if err == nil && !o.Now.IsZero() && o.Now.After(day) {
			out = append(out, answer{outcome: Fail, path: "decision.review_by", message: "the plan was to be reviewed by " + p.Decision.ReviewBy})
		}
	}
	return or(out, "owner and date are set")
}

// checkQuestions keeps R8.1.
func checkQuestions(p *plan.Plan, _ Options) []answer {
	var out []answer
	for i, q := range p.OpenQuestions {
		out = append(out, answer{outcome: Fail, path: fmt.Sprintf("open_questions[%d]", i), message: q.About + ": " + q.Ask, fix: look(q)})
	}
	return or(out, "every question is answered")
}

func look(q plan.Question) string {
	if q.Look == "" {
		return ""
	}
	return "Look at " + q.Look + ", answer it in the plan and delete its line."
}

// checkEnforced tells which rows are plans only.
func checkEnforced(p *plan.Plan, _ Options) []answer {
	var out []answer
	for _, row := range p.Unenforced() {
		out = append(out, answer{outcome: Fail, path: pathOf(p, row), message: row.Statement + ": " + row.Reason})
	}
	return or(out, "every row is acted upon")
}

// pathOf is a path whose position is the row's.
func pathOf(p *plan.Plan, row plan.Row) string {
	kind, rest, _ := strings.Cut(row.ID, ".")
	path := map[string]string{"endpoint": "endpoints.", "limit": "limits.", "webhook": "webhooks.", "monitoring": "monitoring.", "auth": "auth."}[kind] + rest
	if p.Position(path) != row.Position {
		return strings.TrimSuffix(strings.TrimSuffix(path, rest), ".")
	}
	return path
}

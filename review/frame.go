package review

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/plan"
)

// checkTests keeps R7.1.12 as far as a plan can: it does not hold the results of
// tests, but it shows what no test could reach.
func checkTests(p *plan.Plan, _ Options) []answer {
	if len(p.Endpoints) == 0 && !usesWebhooks(p) {
		return absent("the plan has nothing to test")
	}
	mappings, destinations := reached(p)
	var out []answer
	for _, name := range sorted(p.Mappings) {
		if !mappings[name] {
			out = append(out, answer{outcome: Fail, path: "mappings." + name, message: fmt.Sprintf("no endpoint, event or other mapping uses the mapping %s, so no test can reach it", name)})
		}
	}
	for _, name := range sorted(p.Destinations) {
		if !destinations[name] {
			out = append(out, answer{outcome: Fail, path: "destinations." + name, message: fmt.Sprintf("no event goes to the destination %s, so no test can reach it", name)})
		}
	}
	if len(out) > 0 {
		return out
	}
	return open(count(len(p.Rows()), "row")+" to prove; a plan does not hold the results of tests",
		"Run your tests against the stand-in, with faults: sallyport sandbox PLAN --faults FILE.")
}

// reached are the mappings and destinations that something uses.
func reached(p *plan.Plan) (mappings, destinations map[string]bool) {
	mappings, destinations = map[string]bool{}, map[string]bool{}
	var reach func(name string)
	reach = func(name string) {
		if name == "" || mappings[name] {
			return
		}
		mappings[name] = true
		for _, r := range p.Mappings[name] {
			reach(r.As)
		}
	}
	for _, e := range p.Endpoints {
		reach(e.Send)
		reach(e.Receive)
	}
	if usesWebhooks(p) {
		for _, e := range p.Webhooks.Events {
			reach(e.Map)
			for _, name := range e.Destinations() {
				destinations[name] = true
			}
		}
	}
	return mappings, destinations
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
	return passAt("monitoring.notify", p.Monitoring.Owner+" is told")
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

// checkRecalled keeps R0.1. Sections that the plan does not use are left alone.
func checkRecalled(p *plan.Plan, _ Options) []answer {
	var out []answer
	for _, r := range p.Recalled() {
		s := r.Section
		a := answer{outcome: Fail, path: "profile", message: fmt.Sprintf("all of %s is only recalled", s.Path)}
		if len(r.Fields) > 0 {
			a.message = fmt.Sprintf("in %s, only recalled: %s", s.Path, strings.Join(r.Fields, ", "))
		}
		read := cmp.Or(strings.Join(s.Provenance.Source, ", "), p.Provider.Docs, "the provider's documentation")
		a.fix = fmt.Sprintf("Read %s and write profile.confirmed.%s: {on: DATE, by: NAME}.", read, s.Name)
		out = append(out, a)
	}
	return or(out, "every fact in use was read somewhere, or confirmed")
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
		return passAt("auth.rotate_every", "every "+every.String())
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
		if len(names) > 1 {
			out = append(out, answer{outcome: Fail, path: "environments." + names[1] + ".secrets", message: fmt.Sprintf("%s is used by %s", reference, strings.Join(names, " and "))})
		}
	}
	return or(out, count(len(p.Environments), "environment")+", each with secrets of its own")
}

// checkEnums keeps E5.
func checkEnums(p *plan.Plan, _ Options) []answer {
	return rows(p, "enum", "each with a policy", func(r plan.MappingRow) (concerned bool, wrong string) {
		if r.Unknown == "" {
			wrong = "does not say what to do with a value it does not know"
		}
		return r.As == "enum", wrong
	})
}

var amount = regexp.MustCompile(`(^|_)(amount|balance|total|subtotal|price|fee|cost)(_|$)`)

// checkMoney keeps E25: a whole number called like money is minor units.
func checkMoney(p *plan.Plan, _ Options) []answer {
	return rows(p, "amount", "each with its currency", func(r plan.MappingRow) (concerned bool, wrong string) {
		if !strings.HasPrefix(r.Transform, "money(") {
			wrong = "looks like an amount in minor units and is mapped without its currency"
		}
		return r.Type == "integer" && amount.MatchString(leaf(r)), wrong
	})
}

// leaf is the last name of a row's path at the provider.
func leaf(r plan.MappingRow) string { return r.External[strings.LastIndexByte(r.External, '.')+1:] }

var personal = regexp.MustCompile(`(^|_)(email|phone|first_name|last_name|full_name|birth(day|date)?|address|ssn|tax_id)(_|$)`)

// checkPersonal keeps E54.
func checkPersonal(p *plan.Plan, _ Options) []answer {
	return rows(p, "obviously personal field", "each with a class", func(r plan.MappingRow) (concerned bool, wrong string) {
		if r.Class == "" {
			wrong = "looks like personal data and has no class"
		}
		return personal.MatchString(leaf(r)), wrong
	})
}

// rows asks ask about every mapping row: whether the rule is about it, and what
// is wrong with it. Noun is what the rule is about, kept what each of them has.
func rows(p *plan.Plan, noun, kept string, ask func(plan.MappingRow) (concerned bool, wrong string)) []answer {
	var out []answer
	n := 0
	for _, name := range sorted(p.Mappings) {
		for i, r := range p.Mappings[name] {
			concerned, wrong := ask(r)
			if !concerned {
				continue
			}
			n++
			if wrong != "" {
				out = append(out, answer{outcome: Fail, path: fmt.Sprintf("mappings.%s[%d]", name, i), message: fmt.Sprintf("%s.%s %s", name, r.External, wrong)})
			}
		}
	}
	if n == 0 {
		return absent("no mapping has an " + noun)
	}
	return or(out, count(n, noun)+", "+kept)
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
		out = append(out, answer{outcome: Fail, path: pathOf(p, row), rows: []string{row.ID}, message: row.Statement + ": " + row.Reason})
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

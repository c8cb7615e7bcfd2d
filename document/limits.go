package document

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// limits shows the provider's limits and what is left of them at headroom
// (R4.12, R4.13).
func (w *writer) limits() {
	w.part("limits", "Limits")
	l := w.provider.Limits
	headroom := w.plan.Limits.Headroom.Or(plan.DefaultHeadroom)
	rows := make([][]text, 0, len(l.List))
	for _, one := range l.List {
		rows = append(rows, w.limitRow(one, headroom))
	}
	if len(rows) == 0 {
		w.say("The profile knows no limit of this provider in numbers. A 429 leads to: ", w.plan.ErrorPolicy("429").Words(), ".")
	} else {
		w.table("The provider's limits and the share that is used", []string{"Limit", "Provider allows", fmt.Sprintf("Used at %d%%", headroom), "Counted per", "Environments", "Applies to"}, rows)
	}
	own := w.plan.Limits
	turn := t("A caller waits at most ", strongSpan(words(own.Wait.Or(plan.DefaultLimitWait))), " for its turn", byDefault(own.Wait == 0), ", then it is turned away, or queued where its fallback says so; at most ", strongSpan(strconv.Itoa(cmp.Or(own.Queue, plan.DefaultLimitQueue))), " wait at once", byDefault(own.Queue == 0), ".")
	if own.Observes() {
		turn = t(strongSpan("Limits are only watched"), " (mode ", codeSpan(own.Mode), "): no call is held back; those that would have been are counted. Once enforced: ", turn)
	}
	w.say(turn)
	var f facts
	f.add("Told by", limitToldText(l))
	for _, one := range l.Unpublished {
		f.add("Not published", one)
	}
	f.add("Weighing of calls", l.Cost)
	f.add("How it is counted", l.Algorithm)
	for _, name := range names(l.Extra) {
		f.add("Header "+name, l.Extra[name])
	}
	w.details("How the provider tells of its limits", []string{"What", "Fact"}, f)
}

// limitRow is one limit in words.
func (w *writer) limitRow(one catalog.Limit, headroom int) []text {
	used := strongSpan(share(one.Limit, headroom))
	if one.Optional {
		used = span{kind: plain, s: "not kept by this version"}
	}
	allows := fmt.Sprintf("%d %s per %s", one.Limit, cmp.Or(one.Unit, "requests"), seconds(one.Window))
	if one.Unit == "concurrent" {
		allows = fmt.Sprintf("%d requests at once", one.Limit)
	}
	if one.Burst > 0 {
		allows += fmt.Sprintf(", %d of them at once", one.Burst)
	}
	where := "all"
	if len(one.Environments) > 0 {
		where = strings.Join(one.Environments, ", ")
	}
	applies := t(one.Applies)
	for _, narrow := range [][]string{one.Methods, one.Paths} {
		if len(narrow) == 0 {
			continue
		}
		if len(applies) > 0 {
			applies = t(applies, "; ")
		}
		applies = t(applies, codes(narrow))
	}
	return []text{
		t(codeSpan(one.Name)), t(allows), t(used, w.pending("limit."+one.Name)),
		t(strings.ReplaceAll(one.Scope, "+", " and ")), t(where), applies,
	}
}

// limitToldText is how an answer says that there were too many.
func limitToldText(l catalog.Limits) text {
	var told []text
	if len(l.Status) > 0 {
		statuses := make([]string, len(l.Status))
		for i, status := range l.Status {
			statuses[i] = strconv.Itoa(status)
		}
		told = append(told, t("status ", codes(statuses)))
	}
	if l.Signal != nil {
		told = append(told, t("in the body when ", signalText(l.Signal)))
	}
	if h := l.Headers; h != nil && h.Remaining != "" {
		told = append(told, t("what is left stands in ", codeSpan(h.Remaining)))
	}
	for _, s := range l.Signals {
		told = append(told, signalPlaces(s))
	}
	switch l.RetryAfter {
	case "absent":
		told = append(told, t("there is no Retry-After"))
	case "":
	default:
		told = append(told, t("Retry-After is given in ", strings.ReplaceAll(l.RetryAfter, "_", " ")))
	}
	return joined(told, "; ")
}

// signalPlaces are the places of one signal.
func signalPlaces(s catalog.LimitSignal) text {
	all := slices.DeleteFunc([]string{s.Limit, s.Used, s.Remaining, s.Near, s.Reset}, func(s string) bool { return s == "" })
	out := t("more stands in ", codes(all))
	if s.For != "" {
		out = t(out, " for ", codeSpan(s.For))
	}
	return out
}

// share is headroom percent of a limit, rounded down to tenths, as the gateway
// counts it.
func share(limit, headroom int) string {
	tenths := limit/100*headroom*10 + limit%100*headroom/10
	return strconv.FormatFloat(float64(tenths)/10, 'f', -1, 64)
}

// resilience is what holds for all calls beside limits: the breaker, the time a
// call may take, the retry budget (R4.10, R4.16).
func (w *writer) resilience() {
	w.part("resilience", "When the provider is down")
	b, c := w.plan.Breaker, w.plan.Calls
	var f facts
	f.add("Calls are held back", "when ", percent(b.Failures, plan.DefaultBreakerFailures), " of at least ", strconv.Itoa(cmp.Or(b.Minimum, plan.DefaultBreakerMinimum)),
		" calls within ", words(b.Window.Or(plan.DefaultBreakerWindow)), " failed or none succeeded for a tenth of that time, or when ", percent(b.SlowCalls, plan.DefaultBreakerSlowCalls),
		" of them took longer than ", words(b.Slow.Or(plan.DefaultBreakerSlow)), byDefault(b == plan.Breaker{}))
	f.add("A few are let through", "after ", words(b.Pause.Or(plan.DefaultBreakerPause)), "; while they fail the pause doubles, up to ", words(b.MaxPause.Or(plan.DefaultBreakerMaxPause)))
	f.add("One call may take", words(c.Deadline.Or(plan.DefaultDeadline)), ", with all its attempts and waits", byDefault(c.Deadline == 0))
	f.add("A queued call is given to a person after", words(c.Expire.Or(plan.DefaultExpire)), byDefault(c.Expire == 0))
	f.add("Retries are at most", percent(c.RetryBudget, plan.DefaultRetryBudget), " of recent calls", byDefault(c.RetryBudget == 0))
	w.table("Circuit breaker, deadlines and retry budget", []string{"What", "Planned"}, f)
}

// percent is a share as the plan writes it.
func percent(p plan.Percent, otherwise int) string { return strconv.Itoa(p.Or(otherwise)) + "%" }

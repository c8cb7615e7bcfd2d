package document

import (
	"fmt"

	"github.com/sallyport/sallyport/plan"
)

func (w *writer) monitoring() {
	w.part("monitoring", "Monitoring")
	m := w.plan.Monitoring
	var f facts
	f.add("On call", m.Owner)
	f.add("Runbook", lookOrCode(m.Runbook))
	f.add("Channels", codes(m.Notify), w.pending("monitoring.notify"))
	if m.ExpectCallsEvery != 0 {
		f.add("Silence is reported after", m.ExpectCallsEvery.String(), w.pending("monitoring.expect_calls_every"))
	}
	var alerts []string
	for _, key := range w.errorKeys() {
		if w.plan.ErrorPolicy(key).Alert {
			alerts = append(alerts, key)
		}
	}
	f.add("Answers logged as errors at once", codes(alerts))
	f.add("The provider's status page", linkSpan(w.provider.Service.StatusPage))
	w.table("Who looks, and at what", []string{"What", "Planned"}, f)
	w.signals()
	var missing []text
	for _, gap := range []struct {
		empty bool
		key   string
	}{
		{m.Owner == "", "owner"},
		{m.Runbook == "", "runbook"},
		{len(m.Notify) == 0, "notify"},
		{m.ExpectCallsEvery == 0, "expect_calls_every"},
	} {
		if gap.empty {
			missing = append(missing, t(codeSpan("monitoring."+gap.key)))
		}
	}
	if len(missing) > 0 {
		w.note("The plan does not say: ", joined(missing, ", "), ".")
	}
}

// lookOrCode links an address and shows anything else as it is typed.
func lookOrCode(s string) text { return t(linkSpan(s)) }

// signals are what is measured and when somebody is told (R6.3, R6.4).
func (w *writer) signals() {
	limit := w.plan.Limits.Headroom.Or(plan.DefaultHeadroom)
	rows := [][]text{
		{t("Failed calls"), t("more than 5% for 5 minutes: warning; more than 20%: critical"), t("calls and their failures by endpoint and reason")},
		{t("Time of calls"), t("the share slower than the breaker allows"), t("p50, p95 and p99 by endpoint")},
		{t("Room left in limits"), t(fmt.Sprintf("more than %d%% used: warning", limit)), t("what is left, by limit")},
		{t("Silence"), t("no call where some are expected: warning"), t("time since the last call")},
		{t("Credential"), t("refused, or a refresh failed: critical"), t("refusals and refreshes")},
	}
	if w.plan.Webhooks != nil {
		rows = append(
			rows,
			[]text{t("Events"), t("more than 100 waiting, or the oldest too old: warning"), t("events by type and status, age of the oldest")},
			[]text{t("Signatures"), t("a sudden number of wrong ones: warning"), t("refused webhooks")},
		)
	}
	w.say("Thresholds to begin with; this version keeps what they are about in its log and its records, and raises no alert by itself.")
	w.details("What is measured, and when to tell somebody", []string{"Signal", "Threshold", "Measure"}, rows)
}

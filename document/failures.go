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

// errorKeys are the answers the plan or the default policy names, statuses
// before words.
func (w *writer) errorKeys() []string {
	keys := names(plan.DefaultErrors())
	for key := range w.plan.Errors {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	rank := func(key string) int {
		if n, err := strconv.Atoi(key); err == nil {
			return n
		}
		return 600 + slices.Index([]string{"5xx", "timeout", "network"}, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	return keys
}

// meanings say what an answer means (R4.1 to R4.8).
var meanings = map[string]string{
	"400": "our request is wrong", "401": "the credential was refused", "402": "a payment is needed or was refused",
	"403": "not allowed", "404": "not there", "409": "the state has moved on", "410": "gone for good",
	"422": "understood and refused", "429": "too many requests", "5xx": "the provider is in trouble",
	"timeout": "no answer in time", "network": "the provider could not be reached",
}

func meaning(key string) string {
	if s, ok := meanings[key]; ok {
		return s
	}
	if strings.HasPrefix(key, "5") {
		return meanings["5xx"]
	}
	return "refused"
}

func (w *writer) errors() {
	w.section("errors", "Errors")
	var rows [][]text
	for _, key := range w.errorKeys() {
		policy := w.plan.ErrorPolicy(key)
		from := "default"
		if _, own := w.plan.Errors[key]; own {
			from = "plan"
		}
		reader := policy.Message
		policy.Message = "" // has a column of its own
		rows = append(rows, []text{t(codeSpan(key)), t(meaning(key)), t(policy.Words(), w.pending("error."+key)), t(reader), t(from)})
	}
	w.table("What follows which answer", []string{"Answer", "Meaning", "What follows", "What the user reads", "From"}, rows)
	w.say("Kept means: the call waits for a person, who can make it again. What an endpoint's effect forbids is not repeated, whatever stands here. Alert means: the failure stands in the log as an error, with alert=true; this version notifies nobody.")

	e := w.provider.Errors
	var f facts
	f.add("Code", places(e.CodePath, e.CodeAlso, e.CodeHeader))
	f.add("Message", places(e.MessagePath, e.MessageAlso, e.MessageHeader))
	f.add("Request id", places(e.RequestIDHeader, e.RequestIDAlso, e.RequestIDPath))
	if s := e.InSuccess; s != nil {
		f.add("Errors inside a success", signalText(s))
	}
	for i, m := range e.Meanings {
		f.add(fmt.Sprintf("Special meaning %d", i+1), meaningText(m))
	}
	w.table("Where the provider says what went wrong", []string{"What", "Where"}, f)
}

// places are where one thing is looked for, in order.
func places(first string, also []string, last string) text {
	all := append([]string{first}, also...)
	if last != "" {
		all = append(all, last)
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
	return codes(all)
}

func signalText(s *catalog.BodySignal) text {
	var out text
	switch {
	case s.Contains != "":
		out = t(codeSpan(s.Path), " contains ", codeSpan(s.Contains))
	case len(s.Except) > 0:
		out = t(codeSpan(s.Path), " is there and not ", codes(s.Except))
	case s.Exists:
		out = t(codeSpan(s.Path), " is there and not empty")
	default:
		out = t(codeSpan(s.Path), " is ", codes(s.Values))
	}
	if s.Unless != "" {
		out = t(out, ", unless ", codeSpan(s.Unless), " is")
	}
	for i := range s.Or {
		out = t(out, ", or ", signalText(&s.Or[i]))
	}
	return out
}

func meaningText(m catalog.MeaningRule) text {
	out := t("any status")
	if m.Status != 0 {
		out = t(codeSpan(strconv.Itoa(m.Status)))
	}
	if len(m.Codes) > 0 {
		out = t(out, " with the code ", codes(m.Codes))
	}
	if m.Header != "" {
		out = t(out, " with the header ", codeSpan(m.Header))
	}
	if m.Body != nil {
		out = t(out, " where ", signalText(m.Body))
	}
	return t(out, " means ", m.Class)
}

// limits shows the provider's limits and what is left of them at headroom
// (R4.12).
func (w *writer) limits() {
	w.section("limits", "Limits")
	headroom := w.plan.Limits.Headroom.Or(plan.DefaultHeadroom)
	l := w.provider.Limits
	var rows [][]text
	for _, one := range l.List {
		used := strongSpan(share(one.Limit, headroom))
		if one.Optional {
			used = span{kind: plain, s: "not kept by this version"}
		}
		where := "all"
		if len(one.Environments) > 0 {
			where = strings.Join(one.Environments, ", ")
		}
		rows = append(rows, []text{
			t(codeSpan(one.Name)), t(fmt.Sprintf("%d %s per %s", one.Limit, cmp.Or(one.Unit, "requests"), seconds(one.Window))),
			t(used), t(strings.ReplaceAll(one.Scope, "+", " and ")), t(where), t(one.Applies),
		})
	}
	if len(rows) == 0 {
		w.say("The profile knows no limit of this provider in numbers. A 429 leads to: ", w.plan.ErrorPolicy("429").Words(), ".")
		return
	}
	w.table("The provider's limits and the share that is used", []string{"Limit", "Provider allows", fmt.Sprintf("Used at %d%%", headroom), "Counted per", "Environments", "Applies to"}, rows)
	w.say("A caller waits at most ", strongSpan(words(w.plan.Limits.Wait.Or(plan.DefaultLimitWait))), " for its turn, then it is turned away", byDefault(w.plan.Limits.Wait == 0), ".")
	var told []text
	if len(l.Status) > 0 {
		statuses := make([]string, len(l.Status))
		for i, status := range l.Status {
			statuses[i] = strconv.Itoa(status)
		}
		told = append(told, t("by status ", codes(statuses)))
	}
	if l.Signal != nil {
		told = append(told, t("in the body when ", signalText(l.Signal)))
	}
	if h := l.Headers; h != nil && h.Remaining != "" {
		told = append(told, t("what is left stands in ", codeSpan(h.Remaining)))
	}
	switch l.RetryAfter {
	case "absent":
		told = append(told, t("there is no Retry-After"))
	case "":
	default:
		told = append(told, t("Retry-After is given in ", strings.ReplaceAll(l.RetryAfter, "_", " ")))
	}
	if len(told) > 0 {
		w.say("How the provider tells that there were too many: ", joined(told, "; "), ".")
	}
}

// share is headroom percent of a limit, rounded down to tenths, as the gateway
// counts it.
func share(limit, headroom int) string {
	tenths := limit/100*headroom*10 + limit%100*headroom/10
	return strconv.FormatFloat(float64(tenths)/10, 'f', -1, 64)
}

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
	w.part("errors", "Errors")
	var rows [][]text
	for _, key := range w.errorKeys() {
		policy := w.plan.ErrorPolicy(key)
		from := "default"
		if _, own := w.plan.Errors[key]; own {
			from = "plan"
		}
		reader := policy.Message
		policy.Message, policy.Tell = "", "" // said apart
		tell := text(nil)
		if to := w.plan.ErrorPolicy(key).Tell; to != "" {
			tell = t("; ", codeSpan(to), " is told by an event ", codeSpan("resource.missing"))
		}
		rows = append(rows, []text{t(codeSpan(key)), t(meaning(key)), t(policy.Words(), tell, w.pending("error."+key)), t(reader), t(from)})
	}
	w.table("What follows which answer", []string{"Answer", "Meaning", "What follows", "What the user reads", "From"}, rows)
	w.say("Kept means: the call waits for a person, who can make it again. What an endpoint's effect forbids is not repeated, whatever stands here. Alert means: the failure stands in the log as an error, with alert=true; this version notifies nobody.")

	e := w.provider.Errors
	var f facts
	f.add("Code", places(e.CodePath, e.CodeAlso, e.CodeHeader))
	f.add("Message", places(e.MessagePath, e.MessageAlso, e.MessageHeader))
	f.add("Request id, for its support", places(e.RequestIDHeader, e.RequestIDAlso, e.RequestIDPath))
	if s := e.InSuccess; s != nil {
		f.add("Errors inside a success", signalText(s))
	}
	for i, m := range e.Meanings {
		f.add(fmt.Sprintf("Special meaning %d", i+1), meaningText(m))
	}
	for i, wait := range e.Waits {
		f.add(fmt.Sprintf("How long to wait, %d", i+1), waitText(wait))
	}
	if e.ForbiddenAs404 {
		f.add("A 404", "does not prove that a thing is gone: the provider answers it also for what the credential may not see")
	}
	w.details("Where the provider says what went wrong", []string{"What", "Where"}, f)
}

// waitText is a place that says how long to wait.
func waitText(wait catalog.WaitRule) text {
	out := t(codeSpan(cmp.Or(wait.Header, wait.Path)))
	if wait.Header != "" && wait.Path != "" {
		out = t(out, " at ", codeSpan(wait.Path))
	}
	if wait.Key != "" {
		out = t(out, " under ", codeSpan(wait.Key))
	}
	if wait.After != "" {
		out = t(out, " behind ", codeSpan(wait.After))
	}
	return t(out, ", in ", strings.ReplaceAll(wait.Unit, "_", " "))
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

package draft

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// purpose is what an operation does, in the provider's words where there are
// any: a summary, or the first sentence of the description.
func purpose(o *operation) string {
	text := o.Summary
	if text == "" {
		text = sentence(o.Description)
	}
	if text == "" {
		text = strings.Join(split(name(o)), " ")
	}
	text = strings.TrimRight(strings.TrimSpace(text), ".")
	if r := []rune(text); len(r) > 0 {
		text = strings.ToUpper(string(r[:1])) + string(r[1:])
	}
	return text + "."
}

// sentence is the first one of a text, 160 bytes at most.
func sentence(s string) string {
	if i := strings.Index(s, ". "); i > 0 {
		s = s[:i]
	}
	if len(s) > 160 {
		s = first(s, 160)
		if i := strings.LastIndexByte(s, ' '); i > 0 {
			s = s[:i]
		}
	}
	return s
}

// joined makes one sentence of several reasons.
func joined(why []string) string { return strings.Join(why, "; ") }

var kindNames = map[kind]string{kindCreate: "create", kindRead: "get", kindList: "list", kindUpdate: "update", kindDelete: "delete"}

// name of an endpoint: create_customer, pay_invoice, list_events.
func name(o *operation) string {
	noun := snake(singular(o.noun))
	switch {
	case o.act != "" && strings.Contains(lastSegment(o.Path), "."): // chat.postMessage
		_, call, _ := rpc(lastSegment(o.Path))
		if len(call) == 1 {
			return slug(call[0] + "_" + noun)
		}
		return slug(strings.Join(call, "_"))
	case o.act != "" && len(split(lastSegment(o.Path))) > 1:
		return slug(noun + "_" + snake(lastSegment(o.Path)))
	case o.act != "":
		return slug(snake(lastSegment(o.Path)) + "_" + noun)
	case o.kind == kindList:
		noun = snake(o.noun)
	}
	return slug(kindNames[o.kind] + "_" + noun)
}

// slug makes a name of a plan: lower-case letters, digits and underscores,
// beginning with a letter.
func slug(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			b.WriteRune(r)
		}
	}
	out := strings.Trim(b.String(), "_-")
	if out == "" || out[0] < 'a' || out[0] > 'z' {
		out = "call_" + out
	}
	return strings.TrimRight(out, "_")
}

// names gives every picked operation its own: the shortest path keeps the
// plain name, others take in what stands before their resource.
func names(picks []*pick) map[*operation]string {
	order := make([]*operation, 0, len(picks))
	for _, p := range picks {
		order = append(order, p.op)
	}
	slices.SortStableFunc(order, func(a, b *operation) int { return len(a.Path) - len(b.Path) })
	out, used := map[*operation]string{}, map[string]bool{}
	for _, o := range order {
		n := name(o)
		if used[n] {
			n = slug(n + "_of_" + strings.Join(o.path[:max(0, len(o.path)-1)], "_"))
		}
		for i := 2; used[n]; i++ {
			n = fmt.Sprintf("%s_%d", strings.TrimRight(n, "0123456789_"), i)
		}
		used[n] = true
		out[o] = n
	}
	return out
}

// effect says what repeating an operation would do, and whether that is in
// doubt: a POST says nothing about it.
func effect(o *operation, idempotent bool) (e plan.Effect, doubt string) {
	switch o.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		if o.kind == kindAction {
			return plan.EffectUpdate, "it is a GET that seems to change something"
		}
		return plan.EffectRead, ""
	case http.MethodDelete, http.MethodPut:
		return plan.EffectUpdate, ""
	}
	switch {
	case o.act != "" && o.kind != kindUpdate && (moves[o.act] || sends(o)):
		return plan.EffectIrreversible, ""
	case o.kind == kindCreate && sends(o) && !idempotent:
		return plan.EffectIrreversible, ""
	case o.kind == kindCreate:
		return plan.EffectCreate, ""
	case o.kind == kindList || o.kind == kindRead:
		return plan.EffectRead, "it is a POST that seems only to read"
	case o.kind == kindAction:
		return plan.EffectUpdate, "it is an action; is the state the same when it is done twice?"
	case o.Method == http.MethodPost:
		return plan.EffectUpdate, ""
	}
	return plan.EffectUpdate, ""
}

// sends reports whether a message leaves, by the first word of the summary.
func sends(o *operation) bool {
	words := split(o.Summary)
	if len(words) == 0 {
		words = split(o.Description)
	}
	return len(words) > 0 && (words[0] == "send" || words[0] == "sends" || words[0] == "pay" || words[0] == "publish")
}

// endpoint writes the plan's entry for an operation.
func (w *writer) endpoint(p *pick) *plan.Endpoint {
	o := p.op
	e := &plan.Endpoint{Call: o.Call(), Purpose: purpose(o), Why: joined(p.why)}
	key := w.profile.Idempotency
	idempotent := w.idempotent(o.Method)
	var doubt string
	e.Effect, doubt = effect(o, idempotent)
	if said, ok := w.said(w.names[o], e.Call); ok {
		e.Effect = said
	} else if doubt != "" {
		w.doubtful(w.names[o], e.Call, e.Effect, doubt)
	}
	if e.Effect == plan.EffectRead {
		e.Timeout, e.Fallback = plan.Duration(10*time.Second), "fail"
		return w.mapped(e, o)
	}
	e.Timeout, e.Fallback = plan.Duration(plan.DefaultTimeout), "queue"
	if e.Effect == plan.EffectIrreversible {
		e.Fallback = "fail" // nobody may find out later that it went out after all
	}
	if idempotent && o.Method != http.MethodGet && o.Method != http.MethodDelete && o.Method != http.MethodPut {
		e.Idempotency = &plan.Idempotency{Header: key.Header, Keep: plan.Duration(time.Duration(key.KeepHours) * time.Hour)}
	}
	if e.Effect == plan.EffectCreate && !idempotent && (w.found[o] == nil || w.names[w.found[o].list] == "") {
		w.ask("endpoint."+w.names[o]+".idempotency", "How is "+article(strings.ReplaceAll(singular(o.noun), "_", " "))+" found again that may have been created although no answer came? No idempotency key is known.", w.profile.Docs)
	}
	if o.Request != nil {
		e.Encoding = encoding(o.Request.ContentType, w.profile.API.Request)
	}
	return w.mapped(e, o)
}

// idempotent reports whether the provider takes a key with a method.
func (w *writer) idempotent(method string) bool {
	key := w.profile.Idempotency
	return key.Header != "" && (len(key.Methods) == 0 || slices.Contains(key.Methods, method))
}

// encoding is set only where the operation differs from the profile.
func encoding(contentType string, usual catalog.Encoding) catalog.Encoding {
	own := usual
	switch {
	case strings.Contains(contentType, "json"):
		own = catalog.EncodingJSON
	case contentType == "application/x-www-form-urlencoded":
		own = catalog.EncodingForm
	}
	if own == usual {
		return ""
	}
	return own
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func article(noun string) string {
	if strings.ContainsAny(first(noun, 1), "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}

package draft

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
)

// operation is one operation of the document as the planner sees it.
type operation struct {
	openapi.Operation
	kind   kind
	act    string   // stem of the action; empty when the operation is none
	object []string // stems of what the action is done with: postMessage, addFollowers
	title  []string // stems of the summary, without the words that say nothing
	noun   string   // the resource, as the path has it: invoices, chat
	nouns  []string // stems of the noun
	path   []string // stems of the whole path, variables left out
	group  string   // path of the collection that the operation belongs to: /v1/invoices
	holes  int      // path variables in the group
	old    bool     // deprecated, or the text advises against it
}

// understand finds out what an operation does, and with which resource, from
// its method and path alone; some documents have no other words.
func understand(op openapi.Operation, collections map[string]bool) *operation {
	o := &operation{Operation: op, old: op.Deprecated || discouraged(op.Description)}
	segments := strings.Split(strings.Trim(withoutFormat(op.Path), "/"), "/")
	last := segments[len(segments)-1]
	parent := segments[:len(segments)-1]
	object, call, isCall := rpc(last)
	custom := strings.LastIndexByte(last, ':') // {name}:suspend
	switch {
	case custom > 0 && strings.HasSuffix(last[:custom], "}"):
		o.callKind(split(last[custom+1:]), op.Method)
		o.in(parent)
	case isVariable(last):
		o.kind = map[string]kind{http.MethodGet: kindRead, http.MethodHead: kindRead, http.MethodDelete: kindDelete}[op.Method]
		if o.kind == "" {
			o.kind = kindUpdate
		}
		o.in(parent)
	case isCall && isThing(call, op.Method): // conversations.members
		o.kind = kindRead
		if isPlural(call[0]) || call[0] == "history" {
			o.kind = kindList
		}
		o.in(append(slices.Clone(parent), object, call[0]))
	case isCall: // chat.postMessage
		o.callKind(call, op.Method)
		o.in(append(slices.Clone(parent), object))
	case isAction(last, parent, op, collections):
		o.callKind(split(last), op.Method)
		for len(parent) > 0 && isVariable(parent[len(parent)-1]) {
			parent = parent[:len(parent)-1]
		}
		o.in(parent)
	default:
		o.in(segments)
		switch op.Method {
		case http.MethodGet, http.MethodHead:
			o.kind = kindList
			if !isPlural(last) {
				o.kind = kindRead
			}
		case http.MethodPost:
			o.kind = kindCreate
		case http.MethodDelete:
			o.kind = kindDelete
		default:
			o.kind = kindUpdate
		}
	}
	for _, s := range segments {
		if !isVariable(s) {
			o.path = append(o.path, stems(s)...)
		}
	}
	o.title = stems(op.Summary)
	o.fromID()
	o.correctKind()
	return o
}

// withoutFormat takes off the format at the end of a path: /Calls.json.
func withoutFormat(path string) string {
	return strings.TrimSuffix(strings.TrimSuffix(path, ".json"), ".xml")
}

// fromID reads what is done off an id that tells operations of one path apart:
// put_files_id#add_shared_link.
func (o *operation) fromID() {
	_, fragment, ok := strings.Cut(o.ID, "#")
	if words := split(fragment); ok && len(words) > 1 && verbs[stem(words[0])].kinds != nil {
		o.act, o.object = stem(words[0]), stemAll(words[1:])
	}
}

// correctKind believes the summary where the method leaves it open what is
// done: a PUT that adds, a POST that retrieves many.
func (o *operation) correctKind() {
	if o.act != "" || o.Method != http.MethodPut && o.Method != http.MethodPost {
		return
	}
	if o.Method == http.MethodPut && o.Request == nil { // nothing is said: a link is made
		o.kind = kindCreate
	}
	words := split(o.Summary)
	if len(words) > 1 && inBulk[words[0]] {
		words = words[1:]
	}
	if len(words) == 0 {
		return
	}
	v, ok := verbs[stem(words[0])]
	if !ok || len(words) < 2 {
		return
	}
	switch k := v.kinds[0]; {
	case k == kindCreate && o.Method == http.MethodPut:
		o.kind = kindCreate
	case (k == kindRead || k == kindList) && o.Method == http.MethodPost && o.kind == kindCreate:
		o.kind = kindList
	}
}

// inBulk are words before the verb of an operation on many.
var inBulk = set("batch bulk multi mass")

// isThing reports whether what stands behind the dot is no verb.
func isThing(call []string, method string) bool {
	if len(call) != 1 || method != http.MethodGet || readerCalls[call[0]] || listCalls[call[0]] {
		return false
	}
	_, isVerb := verbs[stem(call[0])]
	return !isVerb && !actions[stem(call[0])]
}

var listCalls = set("list search find all test")

func (o *operation) in(segments []string) {
	o.group = "/" + strings.Join(segments, "/")
	for _, s := range segments {
		if isVariable(s) {
			o.holes++
			continue
		}
		o.noun = s
	}
	if i := strings.LastIndexByte(o.noun, '.'); i >= 0 {
		o.noun = o.noun[i+1:]
	}
	o.nouns = stems(o.noun)
}

func isVariable(segment string) bool { return strings.HasPrefix(segment, "{") }

func isPlural(word string) bool { return singular(word) != word }

// rpc takes a segment such as "users.profile.get" apart.
func rpc(segment string) (object string, call []string, ok bool) {
	i := strings.LastIndexByte(segment, '.')
	if i <= 0 || i == len(segment)-1 || segment[i+1:] == "json" {
		return "", nil, false
	}
	return segment[:i], split(segment[i+1:]), true
}

// isAction tells an action at the end of a path (…/pay) from a collection
// (…/refunds).
func isAction(last string, parent []string, op openapi.Operation, collections map[string]bool) bool {
	words := split(last)
	if len(words) > 1 && inBulk[words[0]] {
		words = words[1:]
	}
	if len(parent) == 0 || len(words) == 0 || collections[op.Path] {
		return false
	}
	if words[0] == "search" || words[0] == "find" {
		return true
	}
	if !actions[stem(words[0])] {
		return false
	}
	return len(words) > 1 || !isPlural(last)
}

// callKind says what a verb at the end of a path does.
func (o *operation) callKind(words []string, method string) {
	if len(words) > 1 && inBulk[words[0]] {
		words = words[1:]
	}
	if len(words) == 0 {
		o.kind = kindAction
		return
	}
	o.act = stem(words[0])
	if len(words) > 1 && !by[words[1]] {
		o.object = stemAll(words[1:])
	}
	switch words[0] {
	case "list", "search", "find", "all":
		o.kind = kindList
	case "get", "info", "read", "show", "lookup", "retrieve", "test":
		o.kind = kindRead
	case "create", "add", "post", "open", "start", "schedule", "insert", "new", "me":
		o.kind = kindCreate
	case "update", "set", "edit", "rename", "modify":
		o.kind = kindUpdate
	case "delete", "remove":
		o.kind = kindDelete
	default:
		o.kind = kindAction
		if method == http.MethodGet && !actions[o.act] {
			o.kind = kindRead
		}
	}
}

// by begins what narrows a call down: lookupByEmail.
var by = set("by for with from in")

// discouraged reports whether a description advises against an operation.
func discouraged(description string) bool {
	d := strings.ToLower(first(description, 300))
	for _, sign := range []string{
		"no longer recommended", "no longer supported", "is deprecated", "are deprecated", "been deprecated", "deprecated:",
		"is being retired", "method will be removed", "endpoint will be removed",
	} {
		if strings.Contains(d, sign) {
			return true
		}
	}
	for _, word := range []string{"deprecated", "legacy", "(deprecated", "(legacy", "[deprecated"} {
		if strings.HasPrefix(d, word) {
			return true
		}
	}
	return false
}

// first n bytes of a text, never half a character.
func first(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// collectionsOf are the paths that hold items: they have a child that is a
// variable, or can be both read and posted to.
func collectionsOf(ops []openapi.Operation) map[string]bool {
	methods := map[string]int{}
	found := map[string]bool{}
	for _, op := range ops {
		if i := strings.LastIndexByte(op.Path, '/'); i > 0 && isVariable(op.Path[i+1:]) {
			found[op.Path[:i]] = true
		}
		switch op.Method {
		case http.MethodGet:
			methods[op.Path] |= 1
		case http.MethodPost:
			methods[op.Path] |= 2
		}
	}
	for path, m := range methods {
		if m == 3 {
			found[path] = true
		}
	}
	return found
}

// holesOfPath is how many variables the whole path has.
func (o *operation) holesOfPath() int { return strings.Count(o.Path, "{") }

package conflict

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Lookup says how the trace of a call is found (R4.7: the outcome of a create
// that may have reached the provider). A source is what a value is taken from:
// body.PATH (the body as it was sent), path.NAME, query.NAME, call.id (our id of
// the call) or call.key (the idempotency key that was sent).
type Lookup struct {
	Path  map[string]string // path variable of the reader → source
	Query map[string]string // query parameter of the reader → source
	// Items is the Path in the reader's answer of the list to search; empty when
	// the answer is the list, or the object itself.
	Items string
	// Match are the fields an item must have: Path in the item → source. All
	// must fit.
	Match map[string]string
	// Created is the Path in an item of the time it was made: seconds or
	// milliseconds since 1970, or RFC 3339. An item older than the call is
	// another one. Empty when items have none; then Match must be unique.
	Created string
	// More is the Path in the reader's answer of what says that the list goes
	// on: has_more, or the next cursor. Empty when the provider tells in no
	// field.
	More string
	// ID is the Path in an item of its id, for the evidence; empty is id.
	ID string
	// After is how long the provider may take to list what it has made. Until
	// then a search that finds nothing proves nothing. Zero is one minute.
	After time.Duration
}

// DefaultAfter is the After of a Lookup that names none.
const DefaultAfter = time.Minute

// clockSkew is how far the provider's clock may be behind ours.
const clockSkew = 5 * time.Minute

// Call is the call whose outcome is unknown.
type Call struct {
	ID    string // ours
	Key   string // idempotency key that was sent; may be empty
	Path  map[string]string
	Query url.Values
	Body  json.RawMessage // as it was sent; a form decoded (form.Decode)
	First time.Time       // when its first attempt began
	Last  time.Time       // when its last attempt ended
}

// Answer is what the reader answered.
type Answer struct {
	Class integration.Class
	Body  json.RawMessage
	// Gone says that a ClassMissing proves absence (classify.Dialect.Gone).
	Gone bool
	// Read is when the reader was asked.
	Read time.Time
	// Complete says that the caller followed all pages, so that nothing is
	// missing in Body.
	Complete bool
}

// Outcome is what became of a call.
type Outcome string

// The three outcomes. Unknown is an answer too: a person decides.
const (
	Happened    Outcome = "happened"
	NotHappened Outcome = "not_happened"
	Unknown     Outcome = "unknown"
)

// Evidence is an outcome and what it rests on. It holds no values but the id of
// what was found.
type Evidence struct {
	Outcome Outcome
	Why     string   // in a sentence
	Found   []string // JSON pointers into the reader's answer to all that match
	ID      string   // of the first that matches; empty when it has none
	Looked  int      // how many items were compared
}

// Request is what to ask the reader for. An error says which value the call
// does not have; then nothing can be found out.
func (l Lookup) Request(c Call) (path map[string]string, query url.Values, err error) {
	path, query = map[string]string{}, url.Values{}
	body, err := c.body()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(l.Path)) {
		if path[name], err = c.text(l.Path[name], body); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Query)) {
		text, err := c.text(l.Query[name], body)
		if err != nil {
			return nil, nil, err
		}
		query.Set(name, text)
	}
	return path, query, nil
}

// Settle decides from the reader's answer what became of the call:
//
//   - Happened when an item matches. Found has more than one entry when the
//     provider holds it more than once.
//   - NotHappened when none does and that is certain: the answer is the whole
//     list, and it was read long enough after the last attempt.
//   - Unknown otherwise, with the reason.
func (l Lookup) Settle(c Call, a Answer) Evidence {
	unknown := func(why string, args ...any) Evidence {
		return Evidence{Outcome: Unknown, Why: fmt.Sprintf(why, args...)}
	}
	after := l.After
	if after == 0 {
		after = DefaultAfter
	}
	early := a.Read.Sub(c.Last) < after
	if a.Class == integration.ClassMissing && a.Gone {
		if early {
			return unknown("it is not there, but it was looked for less than %s after the last attempt", after)
		}
		return Evidence{Outcome: NotHappened, Why: "the provider says that there is no such thing"}
	}
	if a.Class != integration.ClassOK {
		return unknown("the provider could not be asked: %s", a.Class)
	}
	if len(l.Match) == 0 {
		return unknown("the plan does not say by which field the call is recognised")
	}
	want, err := l.wanted(c)
	if err != nil {
		return unknown("%v", err)
	}
	answer, err := parse("the reader's answer", a.Body)
	if err != nil {
		return unknown("%v", err)
	}
	items, at, err := l.items(&answer)
	if err != nil {
		return unknown("%v", err)
	}
	e := l.search(c, items, at, want)
	switch {
	case len(e.Found) == 1:
		e.Outcome, e.Why = Happened, "one item matches"
	case len(e.Found) > 1:
		e.Outcome, e.Why = Happened, fmt.Sprintf("%d items match; it happened more than once, or the fields to match are not unique", len(e.Found))
	case !a.Complete && !l.whole(&answer, len(items)):
		e.Outcome, e.Why = Unknown, "no item matches, but the list may go on"
	case early:
		e.Outcome, e.Why = Unknown, fmt.Sprintf("no item matches, but it was looked for less than %s after the last attempt", after)
	default:
		e.Outcome, e.Why = NotHappened, "no item of the whole list matches"
	}
	return e
}

// wish is a field and the value it must have.
type wish struct {
	path Path
	value
}

func (l Lookup) wanted(c Call) ([]wish, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	all := make([]wish, 0, len(l.Match))
	for _, field := range slices.Sorted(maps.Keys(l.Match)) {
		path, err := ParsePath(field)
		if err != nil {
			return nil, err
		}
		v, err := c.source(l.Match[field], body)
		if err != nil {
			return nil, err
		}
		all = append(all, wish{path, *v})
	}
	return all, nil
}

// items are the objects to search, and at tells where each of them stands.
func (l Lookup) items(answer *value) (items []value, at func(int) string, err error) {
	prefix := ""
	if l.Items != "" {
		path, err := ParsePath(l.Items)
		if err != nil {
			return nil, nil, err
		}
		if answer = answer.follow(path); answer == nil {
			return nil, nil, fmt.Errorf("the reader's answer has no %s", l.Items)
		}
		prefix = path.pointer()
	}
	switch answer.kind {
	case list:
		return answer.items, func(i int) string { return prefix + "/" + strconv.Itoa(i) }, nil
	case object:
		if l.Items == "" {
			return []value{*answer}, func(int) string { return "" }, nil
		}
	}
	return nil, nil, fmt.Errorf("the reader's answer is no list at %q", l.Items)
}

func (l Lookup) search(c Call, items []value, at func(int) string, want []wish) Evidence {
	e := Evidence{Looked: len(items)}
	for i := range items {
		item := &items[i]
		fits := !l.older(item, c.First)
		for _, w := range want {
			fits = fits && w.kind != null && same(item.follow(w.path), &w.value, true)
		}
		if !fits {
			continue
		}
		e.Found = append(e.Found, at(i))
		if len(e.Found) == 1 {
			e.ID = l.id(item)
		}
	}
	return e
}

// id is what the provider calls an item.
func (l Lookup) id(item *value) string {
	name := l.ID
	if name == "" {
		name = "id"
	}
	path, err := ParsePath(name)
	if err != nil {
		return ""
	}
	v := item.follow(path)
	if v == nil || v.kind != text && v.kind != number || len(v.string()) > 200 {
		return ""
	}
	return v.string()
}

// older reports whether an item was certainly made before the call.
func (l Lookup) older(item *value, first time.Time) bool {
	if l.Created == "" || first.IsZero() {
		return false
	}
	path, err := ParsePath(l.Created)
	if err != nil {
		return false
	}
	v := item.follow(path)
	if v == nil {
		return false
	}
	made, ok := instant(v)
	return ok && made.Before(first.Add(-clockSkew))
}

// instant reads a time: seconds or milliseconds since 1970, or RFC 3339.
func instant(v *value) (time.Time, bool) {
	s := v.string()
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		const year5138 = 1e11 // in seconds; what is larger counts milliseconds
		switch {
		case n < 0 || n > 1e14:
			return time.Time{}, false
		case n < year5138:
			n *= 1000
		}
		return time.UnixMilli(int64(n)), true
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}

// whole reports whether the answer itself says that it is all there is.
func (l Lookup) whole(answer *value, items int) bool {
	if l.More == "" {
		return items == 0
	}
	path, err := ParsePath(l.More)
	if err != nil {
		return false
	}
	v := answer.follow(path)
	switch {
	case v == nil || v.kind == null:
		return true
	case v.kind == boolean:
		return v.raw == "false"
	case v.kind == text:
		return v.string() == ""
	}
	return false
}

// body is the request's body, ready to take values from.
func (c Call) body() (*value, error) {
	if len(c.Body) == 0 {
		return &value{}, nil
	}
	v, err := parse("the request's body", c.Body)
	return &v, err
}

// source is the value of a source.
func (c Call) source(from string, body *value) (*value, error) {
	kind, name, _ := strings.Cut(from, ".")
	found := ""
	switch {
	case from == "call.id":
		found = c.ID
	case from == "call.key":
		found = c.Key
	case kind == "path":
		found = c.Path[name]
	case kind == "query":
		found = c.Query.Get(name)
	case kind == "body":
		path, err := ParsePath(name)
		if err != nil {
			return nil, err
		}
		if v := body.follow(path); v != nil && v.kind != null {
			return v, nil
		}
	default:
		return nil, fmt.Errorf("%q is no source; write body.PATH, path.NAME, query.NAME, call.id or call.key", from)
	}
	if found == "" {
		return nil, fmt.Errorf("the call has no %s", from)
	}
	raw, err := json.Marshal(found)
	return &value{raw: string(raw), kind: text}, err
}

// text is a source's value as it stands in an address.
func (c Call) text(from string, body *value) (string, error) {
	v, err := c.source(from, body)
	if err != nil {
		return "", err
	}
	if v.kind >= list {
		return "", fmt.Errorf("%s is no single value", from)
	}
	return v.string(), nil
}

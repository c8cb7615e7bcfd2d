package conflict

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/form"
	"github.com/sallyport/sallyport/integration"
)

// Keep says whose value stands where both sides changed a field.
type Keep string

// The three rules.
const (
	Ours   Keep = "ours"   // the request's value is sent whatever the provider has
	Theirs Keep = "theirs" // the field is left out of the request
	Fail   Keep = "fail"   // nothing is sent; a person decides
)

// Rules say how a request and the provider's state become one.
type Rules struct {
	// Keep is for fields that Fields does not name; empty is Fail.
	Keep Keep
	// Fields are rules of their own by Path; one for a field holds for all
	// below it, and the longest path decides.
	Fields map[string]Keep
	// State is the Path in the reader's answer of the object that the request
	// body describes: customer in {"customer": {…}}. Empty is the whole answer.
	State string
	// Version is what the provider compares to notice that a writer was late.
	// The zero value has none.
	Version Version
	// Replaces says that the request replaces the whole thing (PUT), so that a
	// field left to the provider is sent with its value instead of being left
	// out, which would delete it.
	Replaces bool
	// Untyped compares values as a form writes them: "1" is 1, "" is null.
	Untyped bool
}

// Version says where the fresh version stands in the reader's answer and where
// it goes in the request. Both are "header.NAME" or "body.PATH"; To may be
// empty: If-Match for a header, the same path for a field.
type Version struct {
	From string // header.ETag, body.customer.version
	To   string // header.If-Match, body.version
}

// Current is the provider's state, as the reader's endpoint answered it.
type Current struct {
	Body   json.RawMessage
	Header http.Header // may be nil where no version comes from it
}

// Report says by name what a merge did. It holds no values.
type Report struct {
	Kept   []string // sent although the provider has another value
	Left   []string // left to the provider
	Unseen []string // sent, and not there in the provider's state, so nothing could be compared
	// Header and Value are to be set on the request; empty when the version
	// does not travel in a header.
	Header, Value string
	// Nothing means that all of the request was left to the provider: there is
	// nothing to send any more, and its current state is the outcome.
	Nothing bool
}

// Codes of the failures of Merge. The Pointer of CodeFields leads into the
// request that was merged; where a mapping made it of the caller's, it has to be
// dropped.
const (
	CodeFields  = "conflict_fields"  // fields differ that the plan keeps for a person
	CodeVersion = "conflict_version" // the version is not where the plan says
	CodeState   = "conflict_state"   // a body is not what can be merged
)

// Merge makes of the request mine, which met a newer state, one that fits the
// state current. base is the state the caller had seen before it made its
// change; nil when unknown. Without it every field that differs counts as
// changed by both; with it one that the provider did not change is no conflict,
// and one that the caller only repeats (the same as in base) is left to the
// provider unless the rule is Ours.
//
// Objects are merged name by name, lists element by element where they are
// equally long and as one value otherwise. A field that the provider's state
// does not show is sent: many are write-only. The result holds no field that
// mine did not, but for the version, and is mine itself, byte for byte, where
// nothing had to give way.
//
// The error is an *integration.Failure; then nothing may be sent.
func Merge(base, mine json.RawMessage, current Current, rules Rules) (json.RawMessage, Report, error) {
	m := merger{rules: rules}
	if err := m.compile(); err != nil {
		return nil, Report{}, unfit(err)
	}
	ours, err := parse("the request", mine)
	if err != nil {
		return nil, Report{}, unfit(err)
	}
	answer, err := parse("the provider's state", current.Body)
	if err != nil {
		return nil, Report{}, unfit(err)
	}
	theirs := answer.follow(m.state)
	if ours.kind != object || theirs == nil || theirs.kind != object {
		return nil, Report{}, unfit(errors.New("only objects can be merged, and the request or the state at its path is none"))
	}
	var before *value
	if base != nil {
		b, err := parse("the state before", base)
		if err != nil {
			return nil, Report{}, unfit(err)
		}
		before, m.based = b.follow(m.state), true
	}
	merged, kept := m.object(nil, &ours, theirs, before)
	if len(m.failed) > 0 {
		return nil, Report{}, m.differ()
	}
	m.report.Nothing = !kept && len(ours.members) > 0
	if merged, err = m.version(merged, &ours, &answer, current.Header); err != nil {
		return nil, Report{}, err
	}
	return json.RawMessage(merged), m.report, nil
}

// MergeForm is Merge for a request whose body is a form. The body is mine
// itself where nothing had to give way.
func MergeForm(base json.RawMessage, mine []byte, current Current, rules Rules) ([]byte, Report, error) {
	decoded, err := form.Decode(mine)
	if err != nil {
		return nil, Report{}, unfit(err)
	}
	rules.Untyped = true
	merged, report, err := Merge(base, decoded, current, rules)
	if err != nil {
		return nil, Report{}, err
	}
	if string(merged) == string(decoded) {
		return mine, report, nil
	}
	encoded, err := form.Encode(merged)
	if err != nil {
		return nil, Report{}, unfit(err)
	}
	return encoded, report, nil
}

type merger struct {
	rules  Rules
	fields []fieldRule
	state  Path
	skip   Path // the version's own field in the request, never compared
	based  bool
	report Report
	failed []Path
}

type fieldRule struct {
	path Path
	keep Keep
}

// compile reads the paths of the rules.
func (m *merger) compile() (err error) {
	if m.rules.Keep == "" {
		m.rules.Keep = Fail
	}
	if m.rules.State != "" {
		if m.state, err = ParsePath(m.rules.State); err != nil {
			return err
		}
	}
	for name, keep := range m.rules.Fields {
		path, err := ParsePath(name)
		if err != nil {
			return err
		}
		m.fields = append(m.fields, fieldRule{path, keep})
	}
	for _, keep := range append(slicesOf(m.rules.Fields), m.rules.Keep) {
		if keep != Ours && keep != Theirs && keep != Fail {
			return fmt.Errorf("%q is no rule; write ours, theirs or fail", keep)
		}
	}
	to := m.rules.Version.to()
	name, inBody := strings.CutPrefix(to, "body.")
	switch {
	case !inBody && to != "" && !strings.HasPrefix(to, "header."):
		return fmt.Errorf("%q names no place for the version; write header.NAME or body.PATH", to)
	case !inBody:
		return nil
	}
	m.skip, err = ParsePath(name)
	if err == nil && slices.ContainsFunc(m.skip, func(s Step) bool { return s.element }) {
		err = fmt.Errorf("%q: a version is a field, not an element of a list", to)
	}
	return err
}

func slicesOf(fields map[string]Keep) []Keep {
	all := make([]Keep, 0, len(fields)+1)
	for _, keep := range fields {
		all = append(all, keep)
	}
	return all
}

func (m *merger) keep(field Path) Keep {
	keep, best := m.rules.Keep, -1
	for _, rule := range m.fields {
		if exact, ok := rule.path.begins(field); ok && exact > best {
			keep, best = rule.keep, exact
		}
	}
	return keep
}

// outcome of one field.
type outcome int

const (
	send  outcome = iota // ours as it is
	other                // ours with parts taken out or replaced
	leave                // not at all
)

// object merges the members of ours; kept reports whether any is still there.
func (m *merger) object(path Path, ours, theirs, base *value) (raw string, kept bool) {
	var b strings.Builder
	changed := false
	b.WriteByte('{')
	for i := range ours.members {
		member := &ours.members[i]
		field := append(slices.Clip(path), Step{Name: member.name})
		text, out := member.value.raw, send
		if !slices.Equal(field, m.skip) {
			text, out = m.field(field, &member.value, theirs.get(member.name), base.get(member.name))
		}
		if out == leave {
			changed = true
			continue
		}
		changed = changed || out == other
		if kept {
			b.WriteByte(',')
		}
		kept = true
		b.WriteString(member.raw + ":" + text)
	}
	b.WriteByte('}')
	if !changed {
		return ours.raw, len(ours.members) > 0
	}
	return b.String(), kept
}

// field merges one field that is in the request.
func (m *merger) field(path Path, ours, theirs, base *value) (string, outcome) {
	loose := m.rules.Untyped
	switch {
	case same(ours, theirs, loose):
		return ours.raw, send
	case theirs != nil && ours.kind == object && theirs.kind == object && len(ours.members) > 0:
		raw, kept := m.object(path, ours, theirs, base)
		return raw, outcomeOf(raw, ours.raw, kept)
	case theirs != nil && ours.kind == list && theirs.kind == list && len(ours.items) == len(theirs.items):
		return m.list(path, ours, theirs, base)
	case theirs == nil && !m.based:
		m.report.Unseen = append(m.report.Unseen, path.String())
		return ours.raw, send
	}
	keep := m.keep(path)
	if m.based {
		switch {
		case same(theirs, base, loose): // only we changed it
			m.report.Kept = append(m.report.Kept, path.String())
			return ours.raw, send
		case keep != Ours && same(ours, base, loose): // only they did
			return m.left(path, theirs)
		}
	}
	switch keep {
	case Ours:
		m.report.Kept = append(m.report.Kept, path.String())
		return ours.raw, send
	case Theirs:
		return m.left(path, theirs)
	}
	m.failed = append(m.failed, path)
	return "", leave
}

func outcomeOf(raw, before string, kept bool) outcome {
	switch {
	case !kept:
		return leave
	case raw == before:
		return send
	}
	return other
}

// left leaves a field to the provider. An element of a list keeps its place, so
// it is written with the provider's value.
func (m *merger) left(path Path, theirs *value) (string, outcome) {
	m.report.Left = append(m.report.Left, path.String())
	inList := slices.ContainsFunc(path, func(s Step) bool { return s.element })
	if theirs != nil && (m.rules.Replaces || inList) {
		return theirs.raw, other
	}
	return "", leave
}

// list merges two lists of one length, element by element. What is left of an
// element is still an element.
func (m *merger) list(path Path, ours, theirs, base *value) (string, outcome) {
	var b strings.Builder
	changed := false
	b.WriteByte('[')
	for i := range ours.items {
		if i > 0 {
			b.WriteByte(',')
		}
		raw, out := m.field(append(slices.Clip(path), Step{element: true, index: i}), &ours.items[i], theirs.at(i), base.at(i))
		if out == leave {
			raw = theirs.items[i].raw
		}
		changed = changed || out != send
		b.WriteString(raw)
	}
	b.WriteByte(']')
	if !changed {
		return ours.raw, send
	}
	return b.String(), other
}

// differ is the failure for fields that are kept for a person.
func (m *merger) differ() *integration.Failure {
	names := make([]string, len(m.failed))
	for i, path := range m.failed {
		names[i] = path.String()
	}
	return &integration.Failure{
		Class: integration.ClassConflict, Code: CodeFields, Pointer: m.failed[0].pointer(),
		Message: "Someone else changed this at the same time.",
		Hint:    "Changed by both sides: " + strings.Join(names, ", ") + ". Read the current state and decide; the plan can settle a field by itself (on_conflict.fields).",
		Err:     fmt.Errorf("conflict over %s", strings.Join(names, ", ")),
	}
}

func unfit(err error) *integration.Failure {
	return &integration.Failure{
		Class: integration.ClassConflict, Code: CodeState,
		Message: "Someone else changed this at the same time.",
		Hint:    "The request can't be merged with the current state by itself: " + err.Error() + ".",
		Err:     fmt.Errorf("merging: %w", err),
	}
}

func (v Version) to() string {
	if v.To != "" || v.From == "" {
		return v.To
	}
	if strings.HasPrefix(v.From, "header.") {
		return "header.If-Match"
	}
	return v.From
}

// version puts the fresh version where the provider wants it.
func (m *merger) version(merged string, ours, answer *value, header http.Header) (string, error) {
	v := m.rules.Version
	if v.From == "" {
		return merged, nil
	}
	raw, err := v.read(answer, header)
	if err != nil {
		return "", &integration.Failure{
			Class: integration.ClassConflict, Code: CodeVersion,
			Message: "Someone else changed this at the same time.",
			Hint:    err.Error() + ". Mend on_conflict.version in the plan.",
			Err:     err,
		}
	}
	if name, ok := strings.CutPrefix(v.to(), "header."); ok {
		m.report.Header, m.report.Value = name, gjson.Parse(raw).String()
		return merged, nil
	}
	if old := ours.follow(m.skip); old != nil && old.raw == raw {
		return merged, nil
	}
	whole, err := parse("the merged request", json.RawMessage(merged))
	if err != nil {
		return "", unfit(err)
	}
	return whole.with(m.skip, raw), nil
}

// read is the fresh version as JSON.
func (v Version) read(answer *value, header http.Header) (string, error) {
	if name, ok := strings.CutPrefix(v.From, "header."); ok {
		value := header.Get(name)
		if value == "" || strings.ContainsAny(value, "\r\n") {
			return "", fmt.Errorf("the answer of the reader has no header %s to take the version from", name)
		}
		raw, err := json.Marshal(value)
		return string(raw), err
	}
	name, ok := strings.CutPrefix(v.From, "body.")
	if !ok {
		return "", fmt.Errorf("%q names no place for the version; write header.NAME or body.PATH", v.From)
	}
	path, err := ParsePath(name)
	if err != nil {
		return "", err
	}
	found := answer.follow(path)
	if found == nil || found.kind == null || found.kind >= list {
		return "", fmt.Errorf("the answer of the reader has no version at %s", name)
	}
	return found.raw, nil
}

package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// document is a provider's document as it is now, of which our subscription is a
// part: an app's manifest.
type document struct {
	facts *catalog.Subscription
	raw   []byte
}

// lists are the places where it has types that are subscribed to.
func (d *document) lists() []string {
	return append([]string{d.facts.Events}, d.facts.Document.Also...)
}

func (d *document) url() string { return gjson.GetBytes(d.raw, d.facts.URL).String() }

func (d *document) names(list string) (names []string) {
	for _, one := range gjson.GetBytes(d.raw, list).Array() {
		names = append(names, one.String())
	}
	return names
}

// typeOf is the type that comes where a name is subscribed to.
func (d *document) typeOf(name string) string {
	for typ, names := range d.facts.Document.Kinds {
		if _, ok := names[name]; ok {
			return typ
		}
	}
	return name
}

// types are those that it subscribes to, as they come.
func (d *document) types() []string {
	found := map[string]bool{}
	for _, list := range d.lists() {
		for _, name := range d.names(list) {
			found[d.typeOf(name)] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// errTaken is why a document that is another's is left as it is.
var errTaken = errors.New("nothing was changed")

// taken says why it is not ours to change; nil: it is.
func (d *document) taken(ours string) error {
	f := d.facts.Document
	if url := d.url(); url != "" && url != ours {
		return fmt.Errorf("events are sent to another address, %.200q, and there is room for one (%s); take it out there if it is not needed, and sync again: %w", url, d.facts.URL, errTaken)
	}
	if f.Instead != "" && gjson.GetBytes(d.raw, f.Instead).Bool() {
		return fmt.Errorf("%s is on, so events go there and not to an address; turn it off, and sync again: %w", f.Instead, errTaken)
	}
	return nil
}

// called are the names under which a type is subscribed to.
func (d *document) called(typ string) ([]string, error) {
	kinds := d.facts.Document.Kinds[typ]
	if len(kinds) == 0 {
		return []string{typ}, nil
	}
	scopes := d.names(d.facts.Document.Scopes)
	var names []string
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if slices.Contains(scopes, kinds[name]) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s needs one of the scopes %s, and %s has none of them", typ, strings.Join(slices.Sorted(maps.Values(kinds)), ", "), d.facts.Document.Scopes)
	}
	return names, nil
}

// subscribe returns it with the address and the types; the same bytes when it has
// them already.
func (d *document) subscribe(url string, wanted []string) ([]byte, error) {
	raw, err := d.raw, error(nil)
	if d.url() != url {
		if raw, err = sjson.SetBytes(slices.Clone(raw), d.facts.URL, url); err != nil {
			return nil, err
		}
	}
	have := d.types()
	for i, list := range d.lists() {
		old := d.names(list)
		names := slices.DeleteFunc(slices.Clone(old), func(name string) bool { return !slices.Contains(wanted, d.typeOf(name)) })
		for _, typ := range wanted {
			if i > 0 || slices.Contains(have, typ) {
				continue
			}
			called, err := d.called(typ)
			if err != nil {
				return nil, err
			}
			names = append(names, called...)
		}
		switch {
		case slices.Equal(old, names):
			continue
		case len(names) == 0:
			raw, err = sjson.DeleteBytes(slices.Clone(raw), list)
		default:
			raw, err = sjson.SetBytes(slices.Clone(raw), list, names)
		}
		if err != nil {
			return nil, err
		}
	}
	return raw, nil
}

// leave returns it without what is ours.
func (d *document) leave() ([]byte, error) {
	raw := slices.Clone(d.raw)
	var err error
	for _, place := range append(d.lists(), d.facts.URL) {
		if raw, err = sjson.DeleteBytes(raw, place); err != nil {
			return nil, err
		}
	}
	if part := gjson.GetBytes(raw, d.facts.Document.Part); part.IsObject() && len(part.Map()) == 0 {
		return sjson.DeleteBytes(raw, d.facts.Document.Part)
	}
	return raw, nil
}

// documentID is what the document is known by.
func (s *subscribed) documentID() string {
	id := s.facts.Document.ID
	for name, value := range s.path(s.plan.Webhooks.Path) {
		id = strings.ReplaceAll(id, "{"+name+"}", value)
	}
	return id
}

// readDocument asks the provider for it.
func (s *subscribed) readDocument(ctx context.Context) (*document, error) {
	f := s.facts.Document
	answer, err := s.wire.do(ctx, f.Read, s.values(&Change{}))
	if err != nil {
		return nil, err
	}
	found := gjson.GetBytes(answer, f.At)
	if !found.IsObject() {
		return nil, fmt.Errorf("%s: the answer holds no document at %q", f.Read.Call, f.At)
	}
	return &document{facts: s.facts, raw: []byte(found.Raw)}, nil
}

// writeDocument reads it, has it changed, and writes it back whole; not when
// nothing differs.
func (s *subscribed) writeDocument(ctx context.Context, change func(*document) ([]byte, error)) error {
	d, err := s.readDocument(ctx)
	if err != nil {
		return err
	}
	next, err := change(d)
	if err != nil || string(next) == string(d.raw) {
		return err
	}
	v := s.values(&Change{})
	v.document = json.RawMessage(next)
	_, err = s.wire.do(ctx, s.facts.Document.Write, v)
	return err
}

// asked are those of the types that come only when they are subscribed to.
func (s *subscribed) asked(types []string) []string {
	return slices.DeleteFunc(slices.Clone(types), func(typ string) bool {
		return slices.ContainsFunc(s.facts.Document.Unasked, func(unasked string) bool {
			start, open := strings.CutSuffix(unasked, "*")
			return typ == unasked || open && strings.HasPrefix(typ, start)
		})
	})
}

// compareDocument is compare where the subscription is a part of a document.
func (s *subscribed) compareDocument(ctx context.Context, c *Comparison) (*Comparison, error) {
	known, err := s.known(ctx)
	if err != nil {
		return nil, err
	}
	d, err := s.readDocument(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("webhooks of %s: %w", s.name, err), s.note(ctx, known, err))
	}
	c.Listed = true
	wanted := s.asked(c.Events)
	if taken := d.taken(s.url); taken != nil {
		if d.url() != "" && d.url() != s.url {
			c.Others = 1
		}
		c.Changes = []Change{{Do: Register, Events: wanted, Why: taken.Error(), refused: taken}}
		return c, s.note(ctx, known, taken)
	}
	var present []integration.Subscription
	if d.url() == s.url {
		present = append(present, s.inDocument(d.types()))
	}
	if err := s.remember(ctx, known, present); err != nil {
		return nil, err
	}
	switch {
	case len(wanted) > 0:
		c.Changes = Decide(s.facts, present, wanted, s.config.Now())
	case len(present) > 0:
		c.Changes = []Change{{Do: Remove, Subscription: present[0], Why: "the plan uses no events that are subscribed to"}}
	}
	return c, nil
}

// on is the state of a subscription in a document: it has no other.
const on = "on"

func (s *subscribed) inDocument(types []string) integration.Subscription {
	now := s.config.Now().UTC()
	return integration.Subscription{Service: s.name, ExternalID: s.documentID(), URL: s.url, Events: types, State: on, CreatedAt: now, CheckedAt: now}
}

// note keeps with what we know of why it can't be kept up.
func (s *subscribed) note(ctx context.Context, known []integration.Subscription, why error) error {
	for i := range known {
		known[i].Error = why.Error()
		if err := s.config.Store.PutSubscription(context.WithoutCancel(ctx), &known[i]); err != nil {
			return err
		}
	}
	return nil
}

// putDocument registers or changes the subscription in its document.
func (s *subscribed) putDocument(ctx context.Context, c *Change) error {
	err := s.writeDocument(ctx, func(d *document) ([]byte, error) {
		if taken := d.taken(s.url); taken != nil {
			return nil, taken
		}
		return d.subscribe(s.url, c.Events)
	})
	if err != nil {
		return err
	}
	one := s.inDocument(c.Events)
	if err := s.config.Store.PutSubscription(context.WithoutCancel(ctx), &one); err != nil {
		return err
	}
	c.Subscription = one
	return nil
}

// leaveDocument takes the subscription out of its document, unless that has
// become another's.
func (s *subscribed) leaveDocument(ctx context.Context) error {
	return s.writeDocument(ctx, func(d *document) ([]byte, error) {
		if d.url() != s.url {
			return d.raw, nil
		}
		return d.leave()
	})
}

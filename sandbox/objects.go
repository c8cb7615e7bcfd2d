package sandbox

import (
	"encoding/json"
	"slices"
)

// object is one thing the stand-in remembers.
type object struct {
	key      string // how paths name it
	resource string
	body     map[string]any
	removed  map[string]any // what is left of it, once removed
	written  []byte         // body as JSON; nil: not written since it changed
}

// json is the body as JSON. Who changes the body sets written to nil.
func (x *object) json() json.RawMessage {
	if x.written == nil {
		x.written = format(x.body)
	}
	return x.written
}

// objects is what calls created. It belongs to the sandbox's lock.
type objects struct {
	byKey      map[string]*object
	byResource map[string][]*object // oldest first
	order      []*object            // oldest first
}

func newObjects() *objects {
	return &objects{byKey: map[string]*object{}, byResource: map[string][]*object{}}
}

// add remembers an object, and forgets the oldest when there are too many.
func (o *objects) add(x *object) {
	o.byKey[x.key] = x
	o.byResource[x.resource] = append(o.byResource[x.resource], x)
	o.order = append(o.order, x)
	if len(o.order) <= maxObjects {
		return
	}
	oldest := o.order[0]
	o.order = dropFirst(o.order)
	if o.byKey[oldest.key] == oldest {
		delete(o.byKey, oldest.key)
	}
	if same := o.byResource[oldest.resource]; len(same) > 0 && same[0] == oldest {
		o.byResource[oldest.resource] = dropFirst(same)
	}
}

// dropFirst takes the first element off without moving the others; append makes
// room again now and then.
func dropFirst[T any](list []T) []T {
	var nothing T
	list[0] = nothing
	return list[1:]
}

// get finds an object that is there, or was.
func (o *objects) get(key string) *object { return o.byKey[key] }

// newest is the youngest object of a kind that is there; nil when none is.
func (o *objects) newest(resource string) *object {
	for _, x := range slices.Backward(o.byResource[resource]) {
		if x.removed == nil {
			return x
		}
	}
	return nil
}

// list gives the objects of a kind that fit, newest first.
func (o *objects) list(resource string, fits func(*object) bool) []*object {
	found := make([]*object, 0, len(o.byResource[resource]))
	for _, x := range slices.Backward(o.byResource[resource]) {
		if x.removed == nil && fits(x) {
			found = append(found, x)
		}
	}
	return found
}

// text is a value as it would stand in a path or a query.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return ""
}

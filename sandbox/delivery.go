package sandbox

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// delivered keeps what providers list of their webhooks where that is not the
// event itself: an entry with the event's id, type and time, and the payload
// where the profile says it is read. The sandbox's lock is held.
func (s *Sandbox) delivered(h *happening, at time.Time) {
	facts := s.cfg.Plan.Provider.Webhooks
	if facts == nil || facts.List == nil || facts.List.Fetch == nil {
		return
	}
	method, path, _ := strings.Cut(facts.List.Call, " ")
	list := s.routes.exact(method, path)
	if list == nil || list.does != lists {
		return
	}
	key := strconv.FormatInt(s.dice.next(), 10)
	entry := map[string]any{"id": json.Number(key), "status": "OK", "status_code": json.Number("200"), "redelivery": false}
	setPath(entry, facts.List.ID, h.id)
	setPath(entry, facts.List.Type, h.typ)
	setPath(entry, facts.List.Time, timestamp(at, facts.List.TimeFormat))
	s.objects.add(&object{key: key, resource: list.resource, body: entry})
	whole, _ := clone(entry).(map[string]any)
	setPath(whole, facts.List.Fetch.Payload, parse(h.payload))
	resource := list.resource
	if one := s.routes.below(list.segments); one != nil && one.resource != "" {
		resource = one.resource
	}
	if resource == list.resource {
		s.objects.byKey[key].body = whole // some list what they show of one
		return
	}
	s.objects.add(&object{key: key, resource: resource, body: whole})
}

// lose reports whether this event is one of those that are never sent.
func (s *Sandbox) lose() bool {
	return s.cfg.LoseEvents > 0 && s.dice.rand.Float64() < s.cfg.LoseEvents
}

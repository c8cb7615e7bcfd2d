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

// withSecret is an object as the answer to its creation shows it: where the
// provider gives a signing secret with a subscription, there and never again, it
// is the one that events are signed with. The sandbox's lock is held.
func (s *Sandbox) withSecret(r *route, x *object) json.RawMessage {
	facts := s.cfg.Plan.Provider.Webhooks
	if facts == nil || facts.Subscription == nil || facts.Subscription.Secret == "" || facts.Subscription.Create == nil || s.cfg.Secrets.Webhook.IsZero() {
		return x.json()
	}
	if method, path := facts.Subscription.Create.Parts(); r != s.routes.exact(method, path) {
		return x.json()
	}
	shown, _ := clone(x.body).(map[string]any)
	setPath(shown, facts.Subscription.Secret, s.cfg.Secrets.Webhook.Reveal()) // to whom it is for
	return format(shown)
}

// lose reports whether this event is one of those that are never sent.
func (s *Sandbox) lose() bool {
	return s.cfg.LoseEvents > 0 && s.dice.rand.Float64() < s.cfg.LoseEvents
}

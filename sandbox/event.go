package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/openapi"
)

// eventComponent is what documents call the object that tells of a change.
const eventComponent = "event"

// happening is one event, ready to be signed and sent.
type happening struct {
	id      string
	typ     string
	header  http.Header // id or type, where the profile has them in headers
	payload []byte
}

// changed tells of a change: the object afterwards, what it was before (nil:
// it is new), and the words for what happened, best first. The sandbox's lock
// is held.
func (s *Sandbox) changed(c *call, x *object, before map[string]any, words []string) {
	x.written = nil
	typ := s.eventType(x.resource, words)
	if typ == "" {
		return
	}
	var previous map[string]any
	if before != nil && strings.HasSuffix(typ, ".updated") {
		previous = difference(before, x.body)
	}
	h := s.happening(typ, x.body, previous, s.now(), c)
	if s.cfg.WebhooksTo != "" && !s.lose() {
		s.sender.enqueue(h)
	}
}

// eventType is the first type the document or the plan has for a resource and
// one of the words; the resource may stand behind what it belongs to, as in
// customer.subscription.created.
func (s *Sandbox) eventType(resource string, words []string) string {
	known := s.cfg.Document.EventTypes
	if w := s.cfg.Plan.Webhooks; w != nil {
		known = slices.Concat(known, slices.Sorted(maps.Keys(w.Events)))
	}
	for _, word := range words {
		typ := resource + "." + word
		for _, k := range known {
			if k == typ || strings.HasSuffix(k, "."+typ) {
				return k
			}
		}
	}
	return ""
}

// happening makes an event and remembers it. The sandbox's lock is held.
func (s *Sandbox) happening(typ string, resource, previous map[string]any, at time.Time, c *call) *happening {
	facts := s.cfg.Plan.Provider.Webhooks
	schema := s.model.doc.Schema(eventComponent)
	body, _ := s.model.samples[eventComponent]
	body, _ = clone(body).(map[string]any)
	if body == nil {
		body, _ = s.model.sample(schema, at, 0).(map[string]any)
	}
	if body == nil {
		body = map[string]any{}
	}
	h := &happening{typ: typ, header: http.Header{}, id: s.dice.like(idSample(text(body["id"]), "event"))}
	if schema != nil {
		s.envelope(body, schema, c)
	}
	dataPath := ""
	if facts != nil {
		dataPath = facts.Data
		put(body, h.header, first(facts.ID), h.id)
		put(body, h.header, first(facts.Type), typ)
		if facts.Time != "" {
			put(body, h.header, facts.Time, timestamp(at, facts.TimeFormat))
		}
	}
	snapshot, _ := clone(resource).(map[string]any)
	if dataPath == "" {
		maps.Copy(body, snapshot)
	} else {
		parentPath, _ := splitLast(dataPath)
		if parentPath != "" {
			setPath(body, parentPath, map[string]any{})
		}
		setPath(body, dataPath, snapshot)
		if previous != nil && s.model.property(s.schemaAt(parentPath), "previous_attributes") != nil {
			setPath(body, strings.TrimPrefix(parentPath+".previous_attributes", "."), previous)
		}
	}
	h.payload = format(body)
	s.objects.add(&object{key: h.id, resource: eventComponent, body: body})
	s.delivered(h, at)
	return h
}

// envelope sets what event objects say about themselves, where the document has
// such fields.
func (s *Sandbox) envelope(body map[string]any, schema *openapi.Schema, c *call) {
	if s.model.property(schema, "api_version") != nil {
		body["api_version"] = s.version()
	}
	if s.model.property(schema, "pending_webhooks") != nil {
		body["pending_webhooks"] = json.Number("1")
	}
	if s.model.property(schema, "request") == nil || c == nil {
		return
	}
	request := map[string]any{"id": c.id, "idempotency_key": nil}
	if c.key != "" {
		request["idempotency_key"] = c.key
	}
	body["request"] = request
}

// schemaAt is the event's schema at a dotted path.
func (s *Sandbox) schemaAt(path string) *openapi.Schema {
	schema := s.model.doc.Schema(eventComponent)
	for name := range strings.SplitSeq(path, ".") {
		if name != "" {
			schema = s.model.property(schema, name)
		}
	}
	return schema
}

func first(paths []string) string {
	if len(paths) == 0 {
		return ""
	}
	return paths[0]
}

// put puts a value where an extract path says it stands.
func put(body map[string]any, header http.Header, expr string, v any) {
	p, err := extract.Parse(expr)
	if err != nil {
		return
	}
	switch p.Kind() {
	case extract.JSON:
		setPath(body, p.Name(), v)
	case extract.Header:
		header.Set(p.Name(), text(v))
	}
}

func timestamp(at time.Time, format string) any {
	switch format {
	case "unix_s", "":
		return json.Number(fmt.Sprint(at.Unix()))
	case "unix_ms":
		return json.Number(fmt.Sprint(at.UnixMilli()))
	}
	return at.UTC().Format(time.RFC3339)
}

package openapi

import (
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// eventName is how event types are written: dotted or snake words, in lower case,
// or in capitals as Box and Figma do.
var eventName = regexp.MustCompile(`^([a-z][a-z0-9]*([._-][a-z0-9]+)+|[A-Z][A-Z0-9]*([._][A-Z0-9]+)+)$`)

// events finds the webhook event types that the document names: the keys of
// "webhooks" (OpenAPI 3.1) and "x-webhooks", and the "x-webhook" of a schema,
// which Square's document has; and where there are none, the
// longest list of values of a request field that is called like events and
// looks like event types, which is how providers describe what can be
// subscribed to.
func (b *builder) events() []string {
	names := map[string]bool{}
	for _, section := range []string{"webhooks", "x-webhooks"} {
		members(b.root.Get(section), func(name, hook gjson.Result) bool {
			names[wireName(name.String(), hook)] = true
			return true
		})
	}
	for _, name := range b.document.components.order {
		schema := b.document.components.schemas[name]
		if !strings.Contains(schema.Raw, `"x-webhook"`) {
			continue
		}
		if event := schema.Get("x-webhook.event"); event.Type == gjson.String {
			names[event.String()] = true
		}
	}
	if len(names) == 0 {
		for _, v := range b.subscribable() {
			names[v] = true
		}
	}
	out := make([]string, 0, len(names))
	for name := range names {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// subscribable is the longest list of event types that a request can name.
func (b *builder) subscribable() []string {
	var longest []string
	for _, op := range b.document.Operations {
		if op.Request == nil || op.Request.Schema == nil {
			continue
		}
		for _, p := range b.document.Resolve(op.Request.Schema).Properties {
			named := calledLikeEvents(p.Name) || aboutWebhooks(op.Path) && slices.Contains([]string{"event", "event_type", "triggers"}, p.Name)
			if !named {
				continue
			}
			if values := b.eventValues(p.Schema); len(values) > len(longest) {
				longest = values
			}
		}
	}
	return longest
}

// wireName is what the provider calls an event when it sends it. GitHub's
// document has one entry for each event and action, "issues-opened", whose
// operationId is "issues/opened": there the event is what stands before the
// slash, in snake case.
func wireName(name string, hook gjson.Result) string {
	id := hook.Get("post.operationId").String()
	event, action, ok := strings.Cut(id, "/")
	if !ok || event+"-"+action != name {
		return name
	}
	return strings.ReplaceAll(event, "-", "_")
}

func calledLikeEvents(name string) bool {
	name = strings.ToLower(name)
	return name == "events" || strings.HasSuffix(name, "_events") || strings.HasSuffix(name, "event_types") || name == "eventtypes" || name == "topics"
}

func aboutWebhooks(path string) bool { return strings.Contains(strings.ToLower(path), "hook") }

// eventValues are the values of an enum, or of the items of a list, when most
// of them look like event types.
func (b *builder) eventValues(s *Schema) []string {
	s = b.document.Resolve(s)
	if s.Items != nil {
		s = b.document.Resolve(s.Items)
	}
	var fit []string
	for _, v := range s.Enum {
		if eventName.MatchString(v) {
			fit = append(fit, v)
		}
	}
	if 2*len(fit) < len(s.Enum) {
		return nil
	}
	return fit
}

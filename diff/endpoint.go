package diff

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// endpoint compares one operation.
func (c *comparison) endpoint(name string, e *plan.Endpoint) {
	row := "endpoint." + name + ".call"
	was, before := c.was.Operation(e.Call)
	now, after := c.now.Operation(e.Call)
	c.used[e.Call] = true
	switch {
	case !before && !after:
		c.silent(row)
		return
	case !after:
		f := Finding{Level: Breaks, Row: row, Where: e.Call, Message: "the operation is gone", Was: e.Call, Fix: "choose another operation and plan again"}
		if moved, ok := c.now.Operation(was.ID); ok && was.ID != "" {
			f.Now, f.Fix = moved.Call(), "write call: "+moved.Call()
			f.Message = "the operation moved"
		}
		c.find(f)
		return
	case !before:
		c.holds(row) // it came
		return
	}
	c.holds(row)
	if now.Deprecated && !was.Deprecated {
		c.find(Finding{
			Level: Changes, Row: row, Where: e.Call, Message: "the operation is deprecated now",
			Fix: "read the provider's changelog for its end and what takes its place",
		})
	}
	c.parameters(row, e, was, now)
	c.request(name, e, was, now)
	if e.Receive != "" {
		c.receive(e, was, now)
	}
}

// parameters finds those a call has to carry now.
func (c *comparison) parameters(row string, e *plan.Endpoint, was, now openapi.Operation) {
	for _, p := range now.Parameters {
		if !p.Required || p.In == "path" {
			continue
		}
		i := slices.IndexFunc(was.Parameters, func(o openapi.Parameter) bool { return o.Name == p.Name && o.In == p.In })
		if i >= 0 && was.Parameters[i].Required {
			continue
		}
		c.find(Finding{
			Level: Breaks, Row: row, Where: e.Call + " " + p.In + " " + p.Name, Message: "a " + p.In + " parameter is required now", Now: p.Name,
			Example: e.Call, Fix: "give " + p.Name + " with every call of this endpoint",
		})
	}
}

// request compares what is sent.
func (c *comparison) request(name string, e *plan.Endpoint, was, now openapi.Operation) {
	row := "endpoint." + name + ".call"
	if was.Request == nil || now.Request == nil {
		if was.Request == nil && now.Request != nil && now.Request.Required {
			c.find(Finding{Level: Breaks, Row: row, Where: e.Call + " body", Message: "a body is required now", Fix: "plan the body with a mapping"})
		}
		return
	}
	if was.Request.ContentType != now.Request.ContentType {
		c.find(Finding{
			Level: Breaks, Row: row, Where: e.Call + " body", Message: "the body has another encoding", Was: was.Request.ContentType, Now: now.Request.ContentType,
			Fix: "set encoding of the endpoint",
		})
	}
	before, after := flat(c.was, was.Request.Schema), flat(c.now, now.Request.Schema)
	if before == nil || after == nil {
		return
	}
	c.needed(row, e, before, after)
	if e.Send != "" {
		c.sent(table{name: e.Send, where: e.Call + " body", was: before, now: after}, 0)
	}
}

// needed finds properties that a body has to have now and that the plan does
// not send.
func (c *comparison) needed(row string, e *plan.Endpoint, was, now *openapi.Schema) {
	for _, name := range now.Required {
		if slices.Contains(was.Required, name) {
			continue
		}
		sends := slices.ContainsFunc(c.plan.Mappings[e.Send], func(r plan.MappingRow) bool {
			return r.Direction != "in" && strings.HasPrefix(r.External+".", escape(name)+".")
		})
		if sends {
			continue
		}
		f := Finding{
			Level: Breaks, Row: row, Where: e.Call + " body " + name, Message: "a field of the body is required now", Now: name,
			Fix: "add a row for " + name + " to the mapping the endpoint sends",
		}
		if s := now.Property(name); s != nil {
			f.Example = object(escape(name), sampleText(c.now, s))
		}
		if e.Send == "" {
			f.Fix = "send " + name + " with every call of this endpoint"
		}
		c.find(f)
	}
}

// receive compares the answer of a success.
func (c *comparison) receive(e *plan.Endpoint, was, now openapi.Operation) {
	before, status := success(c.was, was)
	after, _ := success(c.now, now)
	if before == nil {
		return
	}
	c.answer(table{name: e.Receive, where: fmt.Sprintf("%s answer %s", e.Call, status), was: before, now: after}, 0)
}

// success is the schema of an operation's success.
func success(d *openapi.Document, o openapi.Operation) (s *openapi.Schema, status string) {
	for _, status := range []string{"200", "201", "202", "2XX", "default"} {
		if body := o.Responses[status]; body != nil && body.Schema != nil {
			return flat(d, body.Schema), status
		}
	}
	return nil, ""
}

// resourceOf is the component that an event carries: the one the mapping is
// named after, or the one the event's name begins with.
func resourceOf(d *openapi.Document, mapping, event string) (string, *openapi.Schema) {
	candidates := []string{mapping}
	for name := event; ; {
		cut := strings.LastIndexAny(name, "._-")
		if cut < 0 {
			break
		}
		name = name[:cut]
		candidates = append(candidates, name, strings.ReplaceAll(name, "_", "-"), strings.ReplaceAll(name, ".", "_"))
	}
	for _, name := range candidates {
		if s := d.Schema(name); s != nil && !strings.HasPrefix(name, "#") {
			return name, flat(d, s)
		}
	}
	return "", nil
}

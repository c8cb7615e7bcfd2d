package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
)

func (c *comparison) limits() {
	l := c.profile.Limits
	told := map[string]bool{}
	roles := map[string]string{}
	if l.Headers != nil {
		for _, h := range []struct{ role, name string }{{"limit", l.Headers.Limit}, {"used", l.Headers.Used}, {"remaining", l.Headers.Remaining}, {"reset", l.Headers.Reset}} {
			roles[h.role] = h.name
			if written := c.answers[strings.ToLower(h.name)]; written != "" {
				told[written] = true
			}
		}
	}
	for header := range l.Extra {
		told[c.answers[strings.ToLower(header)]] = true
	}
	for _, s := range l.Signals {
		for _, place := range []string{s.Limit, s.Used, s.Remaining, s.Reset, s.Window, s.Near} {
			name, _, _ := strings.Cut(place, " ")
			told[c.answers[strings.ToLower(name)]] = true
		}
	}
	others := map[string]string{} // role → header of the document that the profile does not name
	for _, name := range sorted(c.document.ResponseHeaders) {
		if role := limitRole(name); role != "" && !told[name] && others[role] == "" {
			others[role] = name
		}
	}
	for _, role := range []string{"limit", "used", "remaining", "reset"} {
		said := c.answers[strings.ToLower(roles[role])]
		differ := said == "" && others[role] != ""
		if differ {
			said = others[role]
		}
		c.add("limits", "headers."+role, roles[role], said, differ, count(c.document.ResponseHeaders[said], "operations answer with it"))
	}
	if l.RetryAfter != "" && l.RetryAfter != "absent" || c.answers["retry-after"] != "" {
		c.add("limits", "retry_after", l.RetryAfter, c.answers["retry-after"], l.RetryAfter == "absent", "")
	}
	c.limitStatus()
}

// limitRole says what a header tells about a limit, or nothing.
func limitRole(name string) string {
	name = strings.ToLower(name)
	if !strings.Contains(name, "ratelimit") && !strings.Contains(name, "rate-limit") {
		return ""
	}
	for _, role := range []string{"remaining", "reset", "used"} {
		if strings.Contains(name, role) {
			return role
		}
	}
	if strings.HasSuffix(name, "limit") {
		return "limit"
	}
	return ""
}

func (c *comparison) limitStatus() {
	n := 0
	for _, o := range c.document.Operations {
		if _, ok := o.Responses["429"]; ok {
			n++
		}
	}
	if slices.Contains(c.profile.Limits.Status, 429) || n > 0 {
		profile, said := "", ""
		if slices.Contains(c.profile.Limits.Status, 429) {
			profile = "429"
		}
		if n > 0 {
			said = "429"
		}
		c.add("limits", "status", profile, said, false, count(n, "operations have it"))
	}
}

func (c *comparison) errors() {
	e := c.profile.Errors
	c.errorPath("code_path", e.CodePath, e.CodeAlso)
	c.errorPath("message_path", e.MessagePath, e.MessageAlso)
	if e.RequestIDHeader != "" {
		c.add("errors", "request_id_header", e.RequestIDHeader, c.answers[strings.ToLower(e.RequestIDHeader)], false, "")
	}
}

// errorPath looks for a path in the bodies that the document gives errors.
func (c *comparison) errorPath(name, path string, also []string) {
	if path == "" {
		return
	}
	said, found, shaped := "", 0, 0
	var members []string
	for _, s := range c.failures {
		if top := c.members(s); len(top) > 0 {
			shaped++
			members = top
		}
		for _, one := range append([]string{path}, also...) {
			if c.has(s, steps(one), 0) {
				found++
				said = one
				break
			}
		}
	}
	switch {
	case found > 0:
		c.add("errors", name, path, said, false, of(found, len(c.failures), "error bodies have it"))
	case shaped > 0:
		c.add("errors", name, path, "members "+shorten(members), true, of(0, len(c.failures), "error bodies have it"))
	default:
		c.add("errors", name, path, "", false, "the document gives errors no body that can be read")
	}
}

// members are the names at the top of a body.
func (c *comparison) members(s *openapi.Schema) []string {
	var list []string
	s = c.document.Resolve(s)
	for _, p := range s.Properties {
		list = append(list, p.Name)
	}
	for _, part := range slices.Concat(s.AllOf, s.AnyOf) {
		for _, p := range c.document.Resolve(part).Properties {
			list = append(list, p.Name)
		}
	}
	return list
}

// steps takes a body path apart: error.\.tag has the steps error and .tag.
func steps(path string) []string {
	var list []string
	var step strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path):
			i++
			step.WriteByte(path[i])
		case path[i] == '.':
			list = append(list, step.String())
			step.Reset()
		default:
			step.WriteByte(path[i])
		}
	}
	return append(list, step.String())
}

// has reports whether a body of this schema can hold something at a path.
func (c *comparison) has(s *openapi.Schema, path []string, depth int) bool {
	if s = c.document.Resolve(s); s == nil || depth > 20 {
		return false
	}
	if len(path) == 0 {
		return true
	}
	for _, part := range slices.Concat(s.AllOf, s.AnyOf) {
		if c.has(part, path, depth+1) {
			return true
		}
	}
	if s.Items != nil && (path[0] == "#" || strings.Trim(path[0], "0123456789") == "") {
		return c.has(s.Items, path[1:], depth+1)
	}
	if next := s.Property(path[0]); next != nil {
		return c.has(next, path[1:], depth+1)
	}
	return s.AdditionalProperties != nil && c.has(s.AdditionalProperties, path[1:], depth+1)
}

func (c *comparison) webhooks() {
	n := len(c.document.EventTypes)
	profile, said := "", ""
	if c.profile.Webhooks != nil {
		profile = "signed: " + c.profile.Webhooks.Verify.Scheme
	}
	if n > 0 {
		said = fmt.Sprintf("%d event types: %s", n, shorten(c.document.EventTypes))
	}
	note := "no document tells the signature"
	if profile == "" {
		note = "the profile knows of no webhooks"
	}
	c.add("webhooks", "events", profile, said, false, note)
}

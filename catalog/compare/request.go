package compare

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
)

func (c *comparison) idempotency() {
	i := c.profile.Idempotency
	said, n := "", 0
	for _, name := range sorted(c.header) {
		if strings.Contains(strings.ToLower(name), "idempot") || strings.EqualFold(name, i.Header) {
			said, n = name, c.header[name]
		}
	}
	if i.Param == "" || i.Header != "" || said != "" {
		c.add("idempotency", "header", i.Header, said, !strings.EqualFold(said, i.Header), count(n, "operations take it"))
	}
	place, name, ok := strings.Cut(i.Param, ".")
	if !ok {
		return
	}
	n = 0
	for _, o := range c.document.Operations {
		if place == "body" && o.Request != nil && c.has(o.Request.Schema, steps(name), 0) ||
			slices.ContainsFunc(o.Parameters, func(p openapi.Parameter) bool { return p.In == place && p.Name == name }) {
			n++
		}
	}
	said = ""
	if n > 0 {
		said = i.Param
	}
	c.add("idempotency", "param", i.Param, said, false, count(n, "operations take it"))
}

// continuing are parameters that betray how lists continue.
var continuing = strings.Fields("starting_after after_id since_id cursor page_token pageToken next_token nextToken continuation_token after marker offset skip startAt page page_number pageNumber " +
	"page[cursor] page[after] page[number] PageToken Page")

func (c *comparison) pagination() {
	p := c.profile.Pagination
	best := ""
	for _, name := range continuing {
		if c.query[name] > c.query[best] {
			best = name
		}
	}
	found := ""
	for _, name := range append([]string{p.Param}, p.Params...) {
		if c.query[name] > c.query[found] {
			found = name
		}
	}
	switch {
	case p.Style == "link_header":
		c.add("pagination", "style", p.Style, c.answers["link"], false, count(c.document.ResponseHeaders[c.answers["link"]], "operations answer with it"))
	case p.Param != "" && c.query[p.Param] > 0:
		c.add("pagination", "param", p.Param, p.Param, false, of(c.query[p.Param], c.reads, "reading operations have it"))
	case p.Param != "":
		other := cmp.Or(found, best)
		c.add("pagination", "param", p.Param, other, other != "", of(c.query[other], c.reads, "reading operations have it"))
	default:
		c.add("pagination", "param", strings.Join(p.Params, ", "), cmp.Or(found, best), false, of(c.query[cmp.Or(found, best)], c.reads, "reading operations have it"))
	}
	for _, at := range []struct{ name, path string }{{"items", p.Items}, {"cursor", p.Cursor}, {"more", p.More}, {"total", p.Total}} {
		if at.path == "" {
			continue
		}
		n := 0
		for _, s := range c.lists {
			if c.has(s, steps(at.path), 0) {
				n++
			}
		}
		said := ""
		if n > 0 {
			said = at.path
		}
		c.add("pagination", at.name, at.path, said, false, of(n, len(c.lists), "bodies of reads have it"))
	}
}

// count is a note about a number, or none when it is zero.
func count(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", n, what)
}

// shorten names the first of a list.
func shorten(list []string) string {
	if len(list) > 6 {
		return strings.Join(list[:6], ", ") + ", …"
	}
	return strings.Join(list, ", ")
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

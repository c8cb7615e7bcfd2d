package sandbox

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/sallyport/sallyport/openapi"
)

// list answers with a page of objects. Query parameters that are fields of the
// object, and the variables of the path, select.
func (s *Sandbox) list(c *call, fields map[string]any) (*answer, *problem) {
	r := c.route
	wanted := map[string]string{}
	for _, p := range r.op.Parameters {
		if v, ok := fields[p.Name]; ok && p.In == "query" {
			if t := text(v); t != "" {
				wanted[p.Name] = t
			}
		}
	}
	if r.parent != nil {
		wanted[r.parent.variable] = c.vars[r.parent.variable]
		wanted[r.parent.resource] = c.vars[r.parent.variable]
	}
	all := s.objects.list(r.resource, func(x *object) bool {
		for name, want := range wanted {
			if have, has := x.body[name]; has && text(have) != want {
				return false
			}
		}
		return true
	})
	page, more, p := s.page(fields, all)
	if p != nil {
		return nil, p
	}
	items := []byte{'['}
	for i, x := range page {
		if i > 0 {
			items = append(items, ',')
		}
		items = append(items, x.json()...)
	}
	a := ok(r, s.listBody(c, append(items, ']'), more, len(all)))
	if s.cfg.Plan.Provider.Pagination.Style == "link_header" && more {
		a.set("Link", fmt.Sprintf(`<%s>; rel="next"`, nextPage(c, fields)))
	}
	return a, nil
}

// page cuts the objects the way the provider's lists continue.
func (s *Sandbox) page(fields map[string]any, all []*object) (page []*object, more bool, p *problem) {
	facts := s.cfg.Plan.Provider.Pagination
	most := facts.MaxPage
	if most == 0 {
		most = 100
	}
	size, p := number(fields, min(10, most), 1, most, "limit", "per_page", "page_size", "count")
	if p != nil {
		return nil, false, p
	}
	start := 0
	switch facts.Style {
	case "cursor_by_id":
		return s.pageByID(fields, all, size)
	case "page", "link_header":
		n, p := number(fields, 1, 1, 1_000_000, "page")
		if p != nil {
			return nil, false, p
		}
		start = (n - 1) * size
	case "offset":
		if start, p = number(fields, 0, 0, 1_000_000_000, "offset", "skip"); p != nil {
			return nil, false, p
		}
	}
	start = min(start, len(all))
	end := min(start+size, len(all))
	return all[start:end], end < len(all), nil
}

// pageByID continues after, or ends before, an object the caller names.
func (s *Sandbox) pageByID(fields map[string]any, all []*object, size int) (page []*object, more bool, p *problem) {
	at := func(name string) (int, *problem) {
		id := text(fields[name])
		if id == "" {
			return -1, nil
		}
		if i := slices.IndexFunc(all, func(x *object) bool { return x.key == id }); i >= 0 {
			return i, nil
		}
		return 0, &problem{status: 400, kind: kindAbsent, param: name, message: fmt.Sprintf("No such object: %s", describe(id))}
	}
	if before, p := at("ending_before"); p != nil || before >= 0 {
		start := max(before-size, 0)
		return all[start:max(before, 0)], start > 0, p
	}
	after, p := at("starting_after")
	if p != nil {
		return nil, false, p
	}
	start := after + 1
	end := min(start+size, len(all))
	return all[start:end], end < len(all), nil
}

// number reads the first of the parameters that was sent.
func number(fields map[string]any, otherwise, least, most int, names ...string) (int, *problem) {
	for _, name := range names {
		if t := text(fields[name]); t != "" {
			n, err := strconv.Atoi(t)
			if err != nil || n < least || n > most {
				return 0, &problem{kind: kindInvalid, status: 400, param: name, message: fmt.Sprintf("Invalid %s: must be between %d and %d", name, least, most)}
			}
			return n, nil
		}
	}
	return otherwise, nil
}

func nextPage(c *call, fields map[string]any) string {
	n, _ := strconv.Atoi(text(fields["page"]))
	u := url.URL{Scheme: "http", Host: c.request.Host, Path: c.request.URL.Path}
	q := c.request.URL.Query()
	q.Set("page", strconv.Itoa(max(n, 1)+1))
	u.RawQuery = q.Encode()
	return u.String()
}

// listBody puts the page into the shape of the answer.
func (s *Sandbox) listBody(c *call, items json.RawMessage, more bool, total int) json.RawMessage {
	if c.route.list == "" {
		return items
	}
	body := map[string]any{}
	for _, p := range s.model.properties(c.route.answer) {
		resolved := s.model.schema(p.Schema)
		switch {
		case p.Name == c.route.list || resolved == nil:
		case p.Name == "has_more" || p.Name == "more":
			body[p.Name] = more
		case p.Name == "url":
			body[p.Name] = c.request.URL.Path
		case p.Name == "total_count" || p.Name == "total":
			body[p.Name] = json.Number(strconv.Itoa(total))
		case resolved.Nullable || !required(s.model.schema(c.route.answer), p.Name):
		default:
			body[p.Name] = s.model.sample(p.Schema, s.now(), 1)
		}
	}
	// The page is JSON already, and much of it: it is put in as it is.
	out := slices.Concat([]byte{'{'}, format(c.route.list), []byte{':'}, items)
	if rest := format(body); len(body) > 0 {
		out = append(append(out, ','), rest[1:]...)
	} else {
		out = append(out, '}')
	}
	return out
}

func required(s *openapi.Schema, name string) bool {
	return s != nil && slices.Contains(s.Required, name)
}

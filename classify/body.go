package classify

import (
	"bytes"
	"encoding/xml"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/catalog"
)

// Bounds on what is read of an error's body other than JSON.
const (
	maxMarkup = 64 << 10 // bytes of XML, HTML or form
	maxTokens = 4096     // of XML
	maxDepth  = 32       // of XML
)

// reading is a body ready to be asked for values. At most one of the fields is
// set; none is for a body that holds nothing to ask for.
type reading struct {
	json   []byte
	fields map[string]string // of a form, or an XML document's leaves by their path
	text   string            // of a page or plain text, for people
}

// read tells by the body itself what it is; the Content-Type only helps to know
// a form, because error pages of proxies carry any type.
func read(header http.Header, body []byte) reading {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if looksLikeJSON(body) {
		return reading{json: body}
	}
	body = bytes.TrimSpace(body[:min(len(body), maxMarkup)])
	if len(body) == 0 {
		return reading{}
	}
	if body[0] == '<' {
		if isHTML(body) {
			return reading{text: title(body)}
		}
		return reading{fields: leaves(body)}
	}
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" || kind == "" && isForm(body) {
		if values, err := url.ParseQuery(string(body)); err == nil {
			fields := make(map[string]string, len(values))
			for name, v := range values {
				fields[name] = v[0]
			}
			return reading{fields: fields}
		}
	}
	return reading{text: string(body[:min(len(body), MaxText+1)])}
}

// find is the value at a body path (see catalog.Errors).
func (r reading) find(path string) gjson.Result {
	if path == "" {
		return gjson.Result{}
	}
	if r.json != nil {
		return gjson.GetBytes(r.json, path)
	}
	if v, ok := r.fields[path]; ok {
		return gjson.Result{Type: gjson.String, Str: v}
	}
	return gjson.Result{}
}

// first is the text at the first path that holds any.
func (r reading) first(path string, also []string) string {
	if v := r.at(path); v != "" {
		return v
	}
	for _, p := range also {
		if v := r.at(p); v != "" {
			return v
		}
	}
	return ""
}

func (r reading) at(path string) string {
	found := r.find(path)
	if found.IsObject() || found.IsArray() {
		return ""
	}
	return clean(found.String())
}

// whole is what stands at a path when it is a list or an object: field errors
// where others write a sentence.
func (r reading) whole(path string) string {
	found := r.find(path)
	if !present(found) {
		return ""
	}
	return clean(found.Raw)
}

// signals reports whether the body is the one described.
func (r reading) signals(s *catalog.BodySignal) bool {
	return r.signalsOne(s) || slices.ContainsFunc(s.Or, func(or catalog.BodySignal) bool { return r.signalsOne(&or) })
}

func (r reading) signalsOne(s *catalog.BodySignal) bool {
	found := r.find(s.Path)
	if !found.Exists() || s.Unless != "" && present(r.find(s.Unless)) {
		return false
	}
	if s.Exists {
		return present(found)
	}
	if !found.IsArray() {
		return is(s, found)
	}
	hit := false
	found.ForEach(func(_, element gjson.Result) bool {
		hit = is(s, element)
		return !hit
	})
	return hit
}

func is(s *catalog.BodySignal, value gjson.Result) bool {
	text := value.String()
	switch {
	case s.Contains != "":
		return strings.Contains(text, s.Contains)
	case len(s.Except) > 0:
		return value.Type != gjson.Null && !slices.Contains(s.Except, text)
	}
	return slices.Contains(s.Values, text)
}

// present reports whether a value says anything: null, false, "" and what is
// empty do not.
func present(v gjson.Result) bool {
	switch {
	case v.IsArray():
		found := false
		v.ForEach(func(_, element gjson.Result) bool {
			found = element.Type != gjson.Null && (!element.IsArray() || present(element))
			return !found
		})
		return found
	case v.IsObject():
		found := false
		v.ForEach(func(_, _ gjson.Result) bool { found = true; return false })
		return found
	case v.Type == gjson.String:
		return v.Str != ""
	}
	return v.Type == gjson.Number || v.Type == gjson.True
}

func looksLikeJSON(body []byte) bool {
	for _, b := range body {
		switch b {
		case ' ', '\t', '\r', '\n':
			continue
		case '{', '[':
			return true
		}
		return false
	}
	return false
}

func isForm(body []byte) bool {
	name, _, ok := bytes.Cut(body, []byte("="))
	return ok && len(name) > 0 && !bytes.ContainsAny(body, " \t\r\n<>{}\"")
}

func isHTML(body []byte) bool {
	start := bytes.ToLower(body[:min(len(body), 256)])
	return bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.HasPrefix(start, []byte("<html")) ||
		bytes.HasPrefix(start, []byte("<head")) || bytes.HasPrefix(start, []byte("<body")) || bytes.HasPrefix(start, []byte("<h1"))
}

// title is what a page says about itself: its title, else its first heading.
func title(page []byte) string {
	lower := bytes.ToLower(page)
	for _, tag := range []string{"title", "h1"} {
		_, after, ok := bytes.Cut(lower, []byte("<"+tag))
		if !ok || len(lower) != len(page) { // case folding may change the length
			continue
		}
		open := bytes.IndexByte(after, '>')
		end := bytes.Index(after, []byte("</"+tag))
		if open < 0 || end <= open {
			continue
		}
		from := len(lower) - len(after)
		if text := strings.TrimSpace(string(page[from+open+1 : from+end])); text != "" && !strings.ContainsRune(text, '<') {
			return text
		}
	}
	return "an HTML page"
}

// leaves are the texts and attributes of an XML document by the names that lead
// to them; the first one wins. What can't be read ends the reading.
func leaves(body []byte) map[string]string {
	fields := map[string]string{}
	keep := func(path []string, value string) {
		name := strings.Join(path, ".")
		if _, known := fields[name]; !known && value != "" {
			fields[name] = value
		}
	}
	decoder := xml.NewDecoder(bytes.NewReader(body))
	decoder.Strict = false
	var path []string
	for range maxTokens {
		token, err := decoder.RawToken()
		if err != nil {
			break
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(path) == maxDepth {
				return fields
			}
			path = append(path, t.Name.Local)
			for _, a := range t.Attr {
				keep(append(path, a.Name.Local), strings.TrimSpace(a.Value))
			}
		case xml.EndElement:
			if len(path) > 0 {
				path = path[:len(path)-1]
			}
		case xml.CharData:
			if len(path) > 0 {
				keep(path, string(bytes.TrimSpace(t)))
			}
		}
	}
	return fields
}

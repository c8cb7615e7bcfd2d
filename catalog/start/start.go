// Package start begins a profile of a provider that the catalog does not know,
// from the provider's own API document: addresses, credentials, a guess at how
// lists continue. What the document does not say is listed as open; a profile
// holds no invented fact.
package start

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/openapi"
)

// Begun is a profile that has been started.
type Begun struct {
	Profile *catalog.Profile
	// Open is what the document does not say or says in a way that a person has
	// to look at, one sentence each.
	Open []string
}

const maxDocument = 256 << 20 // unpacked; beyond what openapi.Read takes

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// ID makes an id of a document's title: "Acme Payments API v2" is acme-payments.
// It is empty when nothing is left.
func ID(title string) string {
	words := slices.DeleteFunc(strings.FieldsFunc(notSlug.ReplaceAllString(strings.ToLower(title), " "), func(r rune) bool { return r == ' ' }), func(w string) bool {
		return slices.Contains([]string{"api", "apis", "rest", "openapi", "specification", "the", "public"}, w) || regexp.MustCompile(`^v?\d+$`).MatchString(w)
	})
	return strings.TrimLeft(strings.Join(words[:min(len(words), 3)], "-"), "-0123456789")
}

// From begins a profile. name is the document's file name or address; it becomes
// the source of what the document says. An empty id is made of the title. The
// error is that of openapi.Read, or says that an id is needed.
func From(id, name string, data []byte) (*Begun, error) {
	doc, err := openapi.Read(data)
	if err != nil {
		return nil, err
	}
	if id == "" {
		if id = ID(doc.Title); id == "" {
			return nil, fmt.Errorf("%s: the title %q makes no id; give one with --id", name, doc.Title)
		}
	}
	root, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	said := catalog.Provenance{Confidence: catalog.Documented, Source: []string{source(name, doc.SHA256)}}
	p := &catalog.Profile{ID: id, Name: doc.Title, Category: "other"}
	if p.Name == "" {
		p.Name = id
	}
	b := &begin{Begun: Begun{Profile: p}, said: said, root: root, doc: doc}
	if docs := root.Get("externalDocs.url").String(); strings.HasPrefix(docs, "https://") {
		p.Docs = b.address(docs)
	}
	b.api()
	b.auth()
	b.pagination()
	b.rest()
	for _, f := range catalog.Lint(p) {
		b.open("%s", f.String())
	}
	return &b.Begun, nil
}

// source names the document as a source is written: an address, or a file's name
// and the beginning of its digest.
func source(name, digest string) string {
	if strings.HasPrefix(name, "https://") {
		return name
	}
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = regexp.MustCompile(`[^\w.-]`).ReplaceAllString(name, "_")
	return strings.TrimLeft(name, "._-") + "@" + digest[:min(12, len(digest))]
}

// parse reads the document once more for what openapi.Document leaves out.
// openapi.Read has bounded its size and its nodes before.
func parse(data []byte) (gjson.Result, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return gjson.Result{}, err
		}
		if data, err = io.ReadAll(io.LimitReader(r, maxDocument)); err != nil {
			return gjson.Result{}, err
		}
	}
	if !gjson.ValidBytes(data) {
		var err error
		if data, err = yaml.YAMLToJSON(data); err != nil {
			return gjson.Result{}, err
		}
	}
	return gjson.ParseBytes(data), nil
}

type begin struct {
	Begun
	said catalog.Provenance
	root gjson.Result
	doc  *openapi.Document
}

func (b *begin) open(format string, args ...any) {
	b.Open = append(b.Open, fmt.Sprintf(format, args...))
}

func (b *begin) api() {
	p := b.Profile
	p.API = catalog.API{Provenance: b.said, Request: b.request(), Response: catalog.EncodingJSON}
	for i, address := range b.doc.Servers {
		u, err := url.Parse(braces.ReplaceAllString(address, "x"))
		if err != nil || u.Scheme != "https" || u.Host == "" {
			b.open("The document names the server %s, which is no absolute https address; it was left out.", address)
			continue
		}
		address = b.variables(address, i)
		if p.API.BaseURL == "" {
			p.API.BaseURL = address
			continue
		}
		if p.API.OtherURLs == nil {
			p.API.OtherURLs = map[string]string{}
		}
		p.API.OtherURLs[fmt.Sprintf("server_%d", i+1)] = address
	}
	if p.API.BaseURL == "" {
		b.open("api.base_url: the document names no server; write the address of the API.")
		p.API.BaseURL = "https://api.example.com"
	}
	if p.Docs == "" {
		p.Docs = p.API.BaseURL
		if u, err := url.Parse(braces.ReplaceAllString(p.Docs, "x")); err == nil {
			p.Docs = "https://" + u.Host
		}
		b.open("docs: the document does not say where its documentation starts.")
	}
	p.API.Version = b.doc.Version
	p.Document = catalog.Document{Provenance: b.said, Format: b.doc.Format, Version: b.doc.Version, Licence: b.root.Get("info.license.name").String()}
	for _, d := range b.doc.Defects[:min(len(b.doc.Defects), 3)] {
		b.open("The document itself: %s: %s.", d.Where, d.Message)
	}
}

var braces = regexp.MustCompile(`\{[^{}]*\}`)

// variables gives each {Name} in an address the form of a profile's and
// describes it.
func (b *begin) variables(address string, server int) string {
	p := b.Profile
	return braces.ReplaceAllStringFunc(address, func(found string) string {
		said := b.root.Get(fmt.Sprintf("servers.%d.variables.%s", server, gjson.Escape(strings.Trim(found, "{}"))))
		name := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(strings.Trim(found, "{}")), "_"), "_")
		if name == "" || name[0] < 'a' {
			name = "part_" + name
		}
		v := catalog.Variable{Text: strings.Join(strings.Fields(said.Get("description").String()), " "), Example: said.Get("default").String()}
		for _, value := range said.Get("enum").Array() {
			v.Values = append(v.Values, value.String())
		}
		if v.Text == "" {
			v.Text = name
			b.open("api.variables.%s: say what it is and which values it may have.", name)
		}
		if p.API.Variables == nil {
			p.API.Variables = map[string]catalog.Variable{}
		}
		p.API.Variables[name] = v
		return "{" + name + "}"
	})
}

// request is form when most bodies are forms.
func (b *begin) request() catalog.Encoding {
	forms, all := 0, 0
	for _, o := range b.doc.Operations {
		if o.Request != nil {
			all++
			if strings.Contains(o.Request.ContentType, "form") {
				forms++
			}
		}
	}
	if forms*2 > all {
		return catalog.EncodingForm
	}
	return catalog.EncodingJSON
}

// styles are parameters that betray how lists continue, the surest first.
var styles = []struct {
	style string
	names []string
}{
	{"cursor_by_id", []string{"starting_after", "after_id", "since_id"}},
	{"cursor", []string{"cursor", "page_token", "pageToken", "next_token", "nextToken", "continuation_token", "after", "page[cursor]", "page[after]"}},
	{"offset", []string{"offset", "skip", "start", "startAt"}},
	{"page", []string{"page", "page_number", "pageNumber", "page[number]"}},
}

func (b *begin) pagination() {
	counts := map[string]int{}
	lists := 0
	for _, o := range b.doc.Operations {
		if o.Method != http.MethodGet {
			continue
		}
		lists++
		for _, param := range o.Parameters {
			if param.In == "query" {
				counts[param.Name]++
			}
		}
	}
	best, style, most := "", "", 0
	for _, s := range styles {
		for _, name := range s.names {
			if counts[name] > most {
				best, style, most = name, s.style, counts[name]
			}
		}
	}
	if best == "" {
		b.open("pagination: no parameter of a list tells how it continues.")
		return
	}
	b.Profile.Pagination = catalog.Pagination{
		Provenance: catalog.Provenance{
			Confidence: catalog.Recalled, Source: b.said.Source,
			Note: fmt.Sprintf("A guess: %d of %d reading operations have the parameter %s.", most, lists, best),
		},
		Style: style, Param: best, Params: []string{best},
	}
	b.open("pagination: %s with %s is a guess; say where the answer tells the next page, and how many a page holds at most.", style, best)
}

// rest lists what no document says.
func (b *begin) rest() {
	b.open("category and text: say what the provider is for.")
	b.open("limits: API documents do not tell rate limits; look for them in the provider's documentation.")
	b.open("errors: say where the code and the message stand in an error's body, and which header has the request's id.")
	b.open("idempotency: say whether a POST can be made safe to repeat.")
	if n := len(b.doc.EventTypes); n > 0 {
		b.open("webhooks: the document names %d event types (%s …) and no signature; say how an event is signed, and where its id and its type stand.", n, b.doc.EventTypes[0])
	} else {
		b.open("webhooks: the document names no event; if the provider sends some, say how they are signed.")
	}
	b.open("sandbox and service: say how to test, and where the status page is.")
}

package extract

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// view is what the rarer kinds of path need.
type view struct {
	names     []string // of XML: local names from the root; of Member: those passed over
	attribute string   // of XML; empty for the text
	outer     *Path    // of Nested: where the inner body stands
	base64    bool     // and how it is written there
	inner     *Path    // and what is read of it; of JWT: among the claims
}

// cutNested splits "a>b" where b is a path or a decoding, so that a ">" in a key
// stays one.
func cutNested(expr string) (outer, inner string, ok bool) {
	for i := range len(expr) {
		if expr[i] != '>' {
			continue
		}
		word, _, _ := strings.Cut(expr[i+1:], ":")
		if word, _, _ = strings.Cut(word, ">"); kinds[word] != None || word == "base64" {
			return expr[:i], expr[i+1:], true
		}
	}
	return "", "", false
}

func parseNested(expr, outer, inner string) (Path, error) {
	v := &view{}
	from, err := Parse(outer)
	if err != nil {
		return Path{}, err
	}
	inner, v.base64 = strings.CutPrefix(inner, "base64>")
	into, err := Parse(inner)
	if err != nil {
		return Path{}, err
	}
	switch kind := into.Kind(); kind {
	case JSON, XML, Member, Nested:
	default:
		return Path{}, fmt.Errorf("path %q: behind > there must be json:, xml: or member: and a place", expr)
	}
	v.outer, v.inner = &from, &into
	return Path{expr: expr, kind: Nested, name: expr, view: v}, nil
}

func parseView(kind Kind, name string) (*view, error) {
	if kind == Member {
		but, ok := strings.CutPrefix(name, "!")
		if !ok || but == "" {
			return nil, errors.New("want the names to pass over: member:!id,time")
		}
		return &view{names: strings.Split(but, ",")}, nil
	}
	if kind == JWT {
		claim, err := Parse("json:" + name)
		return &view{inner: &claim}, err
	}
	v := &view{}
	elements, attribute, ok := strings.Cut(name, "@")
	if ok && attribute == "" {
		return nil, errors.New("nothing after @; want the name of an attribute")
	}
	v.names, v.attribute = strings.Split(elements, "."), attribute
	if slices.Contains(v.names, "") {
		return nil, errors.New("an empty element name; write a.b.c")
	}
	return v, nil
}

// nested reads the inner path out of what the outer one yields.
func (v *view) nested(r *Request) (string, bool) {
	text, ok := v.outer.Value(r)
	if !ok {
		return "", false
	}
	body := []byte(text)
	if v.base64 {
		decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return "", false
		}
		body = decoded
	}
	return v.inner.Value(&Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: body, Config: r.Config})
}

// claim reads the claims of a token (RFC 7519, section 3): the middle one of
// three parts, base64url.
func (v *view) claim(r *Request) (string, bool) {
	parts := bytes.Split(bytes.TrimSpace(r.Body), []byte("."))
	if len(parts) != 3 {
		return "", false
	}
	claims, err := base64.RawURLEncoding.DecodeString(string(parts[1]))
	if err != nil {
		return "", false
	}
	return v.inner.Value(&Request{Body: claims})
}

// member is the name of the first member that is not passed over.
func (v *view) member(r *Request) (name string, ok bool) {
	if !r.ValidJSON() {
		return "", false
	}
	root := gjson.ParseBytes(r.Body)
	if !root.IsObject() {
		return "", false
	}
	root.ForEach(func(key, _ gjson.Result) bool {
		if !slices.Contains(v.names, key.Str) {
			name, ok = key.Str, true
		}
		return !ok
	})
	return name, ok
}

// Bounds of an XML body: no provider's event is deeper or holds more of one
// element.
const (
	xmlDeepest  = 64
	xmlMatches  = 1000
	xmlMostText = 64 << 10
)

// xml reads elements by their local names. Several give the JSON array of their
// texts, as with "[]". Entities that a document declares by itself are not
// known, and external ones never read.
func (v *view) xml(r *Request) (string, bool) {
	body := bytes.TrimLeft(r.Body, " \t\r\n\ufeff")
	if len(body) == 0 || body[0] != '<' {
		return "", false
	}
	reader := xmlReader{view: v, decoder: xml.NewDecoder(bytes.NewReader(body))}
	if !reader.run() {
		return "", false
	}
	switch len(reader.found) {
	case 0:
		return "", false
	case 1:
		return reader.found[0], true
	}
	list := []byte{'['}
	for i, text := range reader.found {
		if i > 0 {
			list = append(list, ',')
		}
		list = gjson.AppendJSONString(list, text)
	}
	return string(append(list, ']')), true
}

// xmlReader walks one document.
type xmlReader struct {
	*view
	decoder *xml.Decoder
	depth   int // of the open element; 1 is the root
	fits    int // leading elements that stand on the path
	text    strings.Builder
	found   []string
}

// run reports whether the whole document was well-formed.
func (x *xmlReader) run() bool {
	ended := false
	for {
		token, err := x.decoder.RawToken()
		if err != nil { // io.EOF among them
			return ended && x.depth == 0
		}
		switch t := token.(type) {
		case xml.StartElement:
			if x.depth++; x.depth > xmlDeepest {
				return false
			}
			x.open(t)
		case xml.EndElement:
			if x.depth == 0 {
				return false
			}
			x.close()
			x.depth--
			ended = true
		case xml.CharData:
			if x.fits == len(x.names) && x.depth == x.fits && x.text.Len()+len(t) <= xmlMostText {
				x.text.Write(t)
			}
		}
	}
}

func (x *xmlReader) open(t xml.StartElement) {
	if x.fits != x.depth-1 || x.fits >= len(x.names) || t.Name.Local != x.names[x.fits] {
		return
	}
	if x.fits++; x.fits < len(x.names) || len(x.found) >= xmlMatches {
		return
	}
	x.text.Reset()
	for _, a := range t.Attr {
		if x.attribute != "" && a.Name.Local == x.attribute {
			x.found = append(x.found, a.Value)
		}
	}
}

func (x *xmlReader) close() {
	if x.depth != x.fits {
		return
	}
	if x.fits == len(x.names) && x.attribute == "" && len(x.found) < xmlMatches {
		x.found = append(x.found, strings.TrimSpace(x.text.String()))
	}
	x.fits--
}

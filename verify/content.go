package verify

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
)

type partKind uint8

const (
	partLiteral   partKind = iota
	partBody               // the raw body, never copied
	partTimestamp          // as sent
	partPath               // a value of the request that must be there
	partSecret             // the secret itself, for hash_concat
	partMade               // what a canonicaliser makes of the request
)

// part is a piece of signed_content.
type part struct {
	kind      partKind
	name      string // text of a literal, else the placeholder
	path      extract.Path
	until     string // the literal after a value: the value must not contain it
	make      canonicaliser
	signsTime bool
}

// canonicaliser appends what it makes of the request to dst.
type canonicaliser func(dst []byte, r *Request, g *group, s *Scheme) ([]byte, error)

// canonicalisers are the placeholders besides body, timestamp and paths.
var canonicalisers = map[string]canonicaliser{
	"url":                        appendURL,
	"url_no_query":               appendURLNoQuery,
	"method":                     appendMethod,
	"sorted_form_kv":             appendSortedForm,
	"sorted_query":               appendSortedQuery,
	"sha256_hex(body)":           appendBodyHashHex,
	"crc32_dec(body)":            appendBodyCRC,
	"sns_canonical":              appendSNS,
	"sha256_raw(body)":           appendBodyHash,
	"json_escape_nonascii(body)": appendEscapedBody,
	"first_json_item":            appendFirstItem,
	"adyen_item":                 appendAdyenItem,
	"contentful_canonical":       appendContentful,
	"hygraph_json":               appendHygraph,
	"plivo_v3_url":               appendPlivoURL,
	"vonage_sorted_params":       appendVonage,
}

// signTime names the canonicalisers whose result contains the time.
var signTime = []string{"sns_canonical", "contentful_canonical", "hygraph_json", "vonage_sorted_params"}

func (s *Scheme) compileContent(v catalog.Verification) error {
	rest := strings.ReplaceAll(v.SignedContent, `\n`, "\n")
	bound := false // something of the request is signed
	for rest != "" {
		literal, after, found := strings.Cut(rest, "{")
		if literal != "" {
			s.content = append(s.content, part{kind: partLiteral, name: literal})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed {
			return fmt.Errorf("signed_content: %q has a { without }", v.SignedContent)
		}
		p, err := placeholder(name)
		if err != nil {
			return fmt.Errorf("signed_content: %w", err)
		}
		if p.kind == partSecret && s.family != "hash_concat" {
			return errors.New("signed_content: {secret} is for hash_concat alone")
		}
		bound = bound || p.kind != partTimestamp && p.kind != partSecret && p.path.Kind() != extract.Config
		s.content = append(s.content, p)
		rest = after
	}
	if !bound {
		return fmt.Errorf("signed_content: %q signs nothing of the request", v.SignedContent)
	}
	s.keepApart()
	return nil
}

func placeholder(name string) (part, error) {
	switch name {
	case "body":
		return part{kind: partBody, name: name}, nil
	case "timestamp":
		return part{kind: partTimestamp, name: name, signsTime: true}, nil
	case "secret":
		return part{kind: partSecret, name: name}, nil
	}
	if c, ok := canonicalisers[name]; ok {
		return part{kind: partMade, name: name, make: c, signsTime: slices.Contains(signTime, name)}, nil
	}
	if strings.Contains(name, ":") {
		path, err := extract.Parse(name)
		if err != nil {
			return part{}, err
		}
		return part{kind: partPath, name: name, path: path}, nil
	}
	known := slices.Sorted(maps.Keys(canonicalisers))
	return part{}, fmt.Errorf("{%s} is not one of {body}, {timestamp}, a path such as {header:X}, {%s}", name, strings.Join(known, "}, {"))
}

// keepApart forbids a value that stands before the time to contain the separator
// that follows it. Otherwise the bytes of one signed message could be cut
// differently, with a piece of the body as a fresher time.
func (s *Scheme) keepApart() {
	for i := range s.content {
		p := &s.content[i]
		if p.kind != partPath || i+1 == len(s.content) || s.content[i+1].kind != partLiteral {
			continue
		}
		if slices.ContainsFunc(s.content[i+1:], func(later part) bool { return later.kind == partTimestamp }) {
			p.until = s.content[i+1].name
		}
	}
}

// writeContent feeds the signed content into mac. The key is only for
// {secret}.
func (s *Scheme) writeContent(mac io.Writer, r *Request, w *work, g *group, k *key) error {
	w.buf = w.buf[:0]
	for i := range s.content {
		p := &s.content[i]
		switch p.kind {
		case partLiteral:
			w.buf = append(w.buf, p.name...)
		case partTimestamp:
			w.buf = append(w.buf, g.timestamp...)
		case partSecret:
			w.buf = append(w.buf, k.raw...)
		case partBody:
			if len(w.buf) > 0 {
				_, _ = mac.Write(w.buf) // hashes and buffers take everything
				w.buf = w.buf[:0]
			}
			_, _ = mac.Write(r.Body)
		case partPath:
			value, ok := p.path.Value(r)
			if !ok {
				return fmt.Errorf("%w: %s, which is signed too, is missing", ErrMalformed, p.name)
			}
			if p.until != "" && strings.Contains(value, p.until) {
				return fmt.Errorf("%w: %s contains %q, which separates it from what follows", ErrMalformed, p.name, p.until)
			}
			w.buf = append(w.buf, value...)
		case partMade:
			var err error
			if w.buf, err = p.make(w.buf, r, g, s); err != nil {
				return fmt.Errorf("%w: %w", ErrMalformed, err)
			}
		}
	}
	if len(w.buf) > 0 {
		_, _ = mac.Write(w.buf)
	}
	return nil
}

// param returns an element of the signature header, or, while we sign, the value
// that was configured for it.
func (s *Scheme) param(r *Request, g *group, name string) (string, error) {
	if g.signing {
		if v, ok := r.Config[name]; ok {
			return v, nil
		}
		return "", fmt.Errorf("config %q is not set", name)
	}
	for rest, more := g.raw, s.layout.kvSep != ""; more; {
		var item string
		item, rest, more = strings.Cut(rest, s.layout.listSep)
		if key, value, _ := strings.Cut(strings.TrimSpace(item), s.layout.kvSep); key == name {
			return value, nil
		}
	}
	return "", errors.New("the signature header has no " + name)
}

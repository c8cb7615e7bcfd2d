package form

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Encode writes a JSON object as a form body, its fields in the order they
// have in the document.
//
// An empty object and an empty list write nothing, for the format has no way
// to say them; null writes an empty value, which is how such APIs unset a
// field. A name that holds a bracket, an empty name and a repeated name are
// errors. The error is always an *Error.
func Encode(document []byte) ([]byte, error) {
	if !utf8.Valid(document) {
		return nil, fail("", "the document is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	first, err := dec.Token()
	if err != nil {
		return nil, fail("", "the document is not valid JSON: %v", err)
	}
	if first != json.Delim('{') {
		return nil, fail("", "the document must be a JSON object; a form has named fields only")
	}
	e := encoder{dec: dec, out: make([]byte, 0, len(document))}
	if err := e.object("", 0); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fail("", "something follows the JSON object")
	}
	return e.out, nil
}

type encoder struct {
	dec   *json.Decoder
	out   []byte
	pairs int
}

// object writes the members up to the closing brace; name is the path so far,
// already escaped.
func (e *encoder) object(name string, depth int) error {
	seen := map[string]bool{}
	for {
		tok, err := e.token(name)
		if err != nil {
			return err
		}
		key, ok := tok.(string)
		if !ok {
			return nil // the closing brace; the decoder lets nothing else through
		}
		switch {
		case key == "":
			return fail(name, "an empty name has no form")
		case strings.ContainsAny(key, "[]"):
			return fail(name, "the name %s holds a bracket, which a form reads as nesting", shorten(key))
		case seen[key]:
			return fail(name, "the name %s stands twice in one object", shorten(key))
		}
		seen[key] = true
		member := url.QueryEscape(key)
		if name != "" {
			member = name + "[" + member + "]"
		}
		if err := e.value(member, depth+1); err != nil {
			return err
		}
	}
}

func (e *encoder) array(name string, depth int) error {
	for i := 0; ; i++ {
		tok, err := e.token(name)
		if err != nil {
			return err
		}
		if tok == json.Delim(']') {
			return nil
		}
		if err := e.write(name+"["+strconv.Itoa(i)+"]", tok, depth+1); err != nil {
			return err
		}
	}
}

func (e *encoder) value(name string, depth int) error {
	tok, err := e.token(name)
	if err != nil {
		return err
	}
	return e.write(name, tok, depth)
}

func (e *encoder) write(name string, tok json.Token, depth int) error {
	if depth > MaxDepth {
		return fail(name, "%v: more than %d levels", errTooDeep, MaxDepth)
	}
	switch v := tok.(type) {
	case json.Delim:
		if v == '{' {
			return e.object(name, depth)
		}
		return e.array(name, depth)
	case string:
		return e.pair(name, url.QueryEscape(v))
	case json.Number:
		return e.pair(name, url.QueryEscape(v.String()))
	case bool:
		return e.pair(name, strconv.FormatBool(v))
	default: // null
		return e.pair(name, "")
	}
}

func (e *encoder) pair(name, value string) error {
	if e.pairs++; e.pairs > MaxPairs {
		return fail("", "more than %d fields", MaxPairs)
	}
	if len(e.out) > 0 {
		e.out = append(e.out, '&')
	}
	e.out = append(e.out, name...)
	e.out = append(e.out, '=')
	e.out = append(e.out, value...)
	return nil
}

func (e *encoder) token(name string) (json.Token, error) {
	tok, err := e.dec.Token()
	if err != nil {
		return nil, fail(name, "the document is not valid JSON: %v", err)
	}
	return tok, nil
}

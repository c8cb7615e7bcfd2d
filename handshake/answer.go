package handshake

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Braintree's; HMAC-SHA1 is not broken
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/verify"
)

// computation is a compiled catalog.Computation.
type computation struct {
	newHash func() hash.Hash
	content extract.Path
	encode  func([]byte) string
	keyOf   func(string) ([]byte, error)
}

// charsets by name: which bytes a value may have. Text is looked at by rune.
var charsets = map[string]func(byte) bool{
	"hex":   func(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' },
	"token": isToken,
	"text":  nil,
}

func isToken(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("-._~+/=", c) >= 0
}

func (h *Handshake) compileCharset(c catalog.Handshake) error {
	h.charName = c.Charset
	if h.charName == "" {
		h.charName = "text"
		if c.Compute != nil {
			h.charName = "token"
		}
	}
	charset, ok := charsets[h.charName]
	if !ok {
		return fmt.Errorf("charset: %q is not one of hex, token, text", c.Charset)
	}
	if c.Compute != nil && h.charName == "text" {
		return errors.New("charset: text would let an event be signed by calling it a challenge")
	}
	h.charset = charset
	return nil
}

// allowed reports whether a value may be sent back or computed with.
func (h *Handshake) allowed(value string) bool {
	if value == "" || len(value) > h.maxLength {
		return false
	}
	if h.charset == nil {
		return utf8.ValidString(value) && strings.IndexFunc(value, func(c rune) bool {
			return c == '<' || c == '>' || !unicode.IsPrint(c)
		}) < 0
	}
	for i := range len(value) {
		if !h.charset(value[i]) {
			return false
		}
	}
	return true
}

func (h *Handshake) compileCompute(c catalog.Handshake) (err error) {
	if c.Compute == nil {
		return nil
	}
	k := &computation{}
	switch c.Compute.Algorithm {
	case "hmac-sha256":
		k.newHash = sha256.New
	case "hmac-sha1":
		k.newHash = sha1.New
	case "hmac-sha512":
		k.newHash = sha512.New
	default:
		return fmt.Errorf("compute.algorithm: %q is not one of hmac-sha1, hmac-sha256, hmac-sha512", c.Compute.Algorithm)
	}
	switch c.Compute.Encoding {
	case "hex":
		k.encode = hex.EncodeToString
	case "base64":
		k.encode = base64.StdEncoding.EncodeToString
	default:
		return fmt.Errorf("compute.encoding: %q is not one of hex, base64", c.Compute.Encoding)
	}
	if k.content, err = extract.Parse(c.Compute.Content); err != nil {
		return fmt.Errorf("compute.content: %w", err)
	}
	if k.keyOf, err = verify.SecretKey(c.Compute.KeyEncoding); err != nil {
		return fmt.Errorf("compute.%w", err)
	}
	h.compute = k
	return nil
}

// computed is the answer that only the holder of the secret can give. Of several
// secrets the first usable one answers: the provider knows one, and lists begin
// with the newest.
func (h *Handshake) computed(r *extract.Request, secrets []integration.Secret) (string, error) {
	if h.compute == nil {
		return "", nil
	}
	content, _ := h.compute.content.Value(r)
	if !h.allowed(content) {
		return "", h.improper(h.compute.content)
	}
	for _, s := range secrets {
		key, err := h.compute.keyOf(s.Reveal())
		if err != nil || len(key) == 0 {
			continue
		}
		mac := hmac.New(h.compute.newHash, key)
		mac.Write([]byte(content))
		return h.compute.encode(mac.Sum(nil)), nil
	}
	return "", fmt.Errorf("%w: %w: %d given", ErrRefused, verify.ErrNoSecret, len(secrets))
}

func (h *Handshake) improper(p extract.Path) error {
	return fmt.Errorf("%w: %s is not 1 to %d characters of %s", ErrRefused, p, h.maxLength, h.charName)
}

// answer is a compiled catalog.HandshakeAnswer.
type answer struct {
	status  int
	kind    string
	escape  bool // values stand inside JSON strings
	body    []piece
	headers map[string][]piece
}

// piece is literal text, a value of the request, or the computed answer.
type piece struct {
	text     string
	path     extract.Path
	computed bool
}

func (h *Handshake) compileAnswer(c catalog.Handshake) error {
	a := c.Answer
	h.answer = answer{status: a.Status, kind: a.Type, escape: a.Type == "application/json", headers: map[string][]piece{}}
	if h.answer.status == 0 {
		h.answer.status = http.StatusOK
	}
	switch {
	case h.answer.status < 200 || h.answer.status > 299:
		return fmt.Errorf("answer.status: %d is no success", a.Status)
	case (a.Body == "") != (a.Type == ""):
		return errors.New("answer.type: body and type belong together")
	case a.Type != "" && a.Type != "application/json" && a.Type != "text/plain":
		return fmt.Errorf("answer.type: %q is not one of application/json, text/plain; anything else could carry a script", a.Type)
	}
	var err error
	if h.answer.body, err = h.pieces(a.Body); err != nil {
		return fmt.Errorf("answer.body: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		key := http.CanonicalHeaderKey(name)
		if h.answer.headers[key], err = h.pieces(a.Header[name]); err != nil {
			return fmt.Errorf("answer.header: %s: %w", name, err)
		}
	}
	return nil
}

// pieces reads text with placeholders. A brace that begins none stays text, as
// JSON is full of them.
func (h *Handshake) pieces(text string) ([]piece, error) {
	var list []piece
	for text != "" {
		at := placeholder(text)
		if at < 0 {
			return append(list, piece{text: text}), nil
		}
		if at > 0 {
			list = append(list, piece{text: text[:at]})
		}
		name, rest, ok := strings.Cut(text[at+1:], "}")
		switch {
		case !ok:
			return nil, fmt.Errorf("%q has a { without }", text)
		case name == "computed":
			if h.compute == nil {
				return nil, errors.New("{computed}: there is no compute")
			}
			list = append(list, piece{computed: true})
		default:
			path, err := extract.Parse(name)
			if err != nil {
				return nil, err
			}
			list = append(list, piece{path: path})
		}
		text = rest
	}
	return list, nil
}

// placeholder is where the first one begins, -1 without one.
func placeholder(text string) int {
	first := -1
	for _, begin := range []string{"{computed}", "{header:", "{json:", "{form:", "{query:", "{config:"} {
		if i := strings.Index(text, begin); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	return first
}

func (h *Handshake) render(r *extract.Request, computed string) (Response, error) {
	response := Response{Status: h.answer.status, Header: http.Header{
		"X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"},
	}}
	for name, pieces := range h.answer.headers {
		value, err := h.fill(r, pieces, computed, false)
		if err != nil {
			return Response{}, err
		}
		response.Header.Set(name, value)
	}
	if h.answer.kind == "" {
		return response, nil
	}
	body, err := h.fill(r, h.answer.body, computed, h.answer.escape)
	if err != nil {
		return Response{}, err
	}
	kind := h.answer.kind
	if kind == "text/plain" {
		kind = "text/plain; charset=utf-8"
	}
	response.Header.Set("Content-Type", kind)
	if r.Method != http.MethodHead {
		response.Body = []byte(body)
	}
	return response, nil
}

// fill puts the values in. Those of the request are bounded; configured ones are
// the operator's own.
func (h *Handshake) fill(r *extract.Request, pieces []piece, computed string, escape bool) (string, error) {
	var text strings.Builder
	for _, p := range pieces {
		value := p.text
		switch {
		case p.computed:
			value = computed
		case !p.path.IsZero():
			var ok bool
			value, ok = p.path.Value(r)
			if p.path.Kind() == extract.Config {
				if !ok || value == "" {
					return "", fmt.Errorf("%w: %s is not set", ErrRefused, p.path)
				}
			} else if !h.allowed(value) {
				return "", h.improper(p.path)
			}
			if escape {
				quoted, _ := json.Marshal(value) // a string always can be
				value = string(quoted[1 : len(quoted)-1])
			}
		}
		text.WriteString(value)
	}
	return text.String(), nil
}

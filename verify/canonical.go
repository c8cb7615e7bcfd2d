package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

func appendURL(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	return append(dst, r.URL...), nil
}

func appendURLNoQuery(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	u, _, _ := strings.Cut(r.URL, "?")
	return append(dst, u...), nil
}

func appendMethod(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	return append(dst, r.Method...), nil
}

func appendBodyHash(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	sum := sha256.Sum256(r.Body)
	return append(dst, sum[:]...), nil
}

func appendBodyHashHex(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	sum := sha256.Sum256(r.Body)
	return hex.AppendEncode(dst, sum[:]), nil
}

// appendBodyCRC is PayPal's: the IEEE CRC-32 of the body as an unsigned number.
func appendBodyCRC(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	return strconv.AppendUint(dst, uint64(crc32.ChecksumIEEE(r.Body)), 10), nil
}

// snsFields are what Amazon SNS signs, by the kind of message; Subject only
// where there is one.
var snsFields = map[string][]string{
	"Notification":             {"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"},
	"SubscriptionConfirmation": {"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"},
	"UnsubscribeConfirmation":  {"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"},
}

// appendSNS is Amazon SNS's: name and value of each field, a line each.
func appendSNS(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	if !r.ValidJSON() {
		return dst, errors.New("the body is no JSON")
	}
	message := gjson.ParseBytes(r.Body)
	fields, ok := snsFields[message.Get("Type").Str]
	if !ok {
		return dst, fmt.Errorf("Type is %.40q, which is no message of Amazon SNS", message.Get("Type").Str) //nolint:staticcheck // the field's name
	}
	for _, field := range fields {
		value := message.Get(field)
		switch {
		case field == "Subject" && (!value.Exists() || value.Type == gjson.Null):
			continue
		case value.Type != gjson.String:
			return dst, fmt.Errorf("%s, which is signed too, is missing", field)
		}
		dst = append(append(append(append(dst, field...), '\n'), value.Str...), '\n')
	}
	return dst, nil
}

// appendSortedForm is Twilio's, which Mandrill and Plivo share: every key, sorted
// bytewise, with its value, both decoded and nothing between them; of a repeated
// key each different value once, sorted. Other bodies are not part of the content:
// Twilio then puts their SHA-256 into the URL, which is signed. A body that
// neither covers is refused.
func appendSortedForm(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	if !r.IsForm() {
		if len(r.Body) == 0 {
			return dst, nil
		}
		sum := sha256.Sum256(r.Body)
		if want := r.Query().Get("bodySHA256"); strings.EqualFold(want, hex.EncodeToString(sum[:])) {
			return dst, nil
		}
		return dst, errors.New("the body is no form and bodySHA256 in the URL is not its SHA-256, so nothing vouches for it")
	}
	form := r.Form()
	if form == nil {
		return dst, errors.New("the body is no well-formed form")
	}
	for _, key := range slices.Sorted(maps.Keys(form)) {
		for _, value := range slices.Compact(slices.Sorted(slices.Values(form[key]))) {
			dst = append(append(dst, key...), value...)
		}
	}
	return dst, nil
}

// appendSortedQuery is MessageBird's: the query sorted by key and encoded again.
func appendSortedQuery(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	return append(dst, r.Query().Encode()...), nil
}

// appendPlivoURL is Plivo's version 3: the URL without its query, then, if there
// are parameters at all, "?" and the sorted query as k=v&k=v; the form's
// parameters join the query of a GET and follow as "." and k and v of a POST.
func appendPlivoURL(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	base, _, _ := strings.Cut(r.URL, "?")
	form := r.Form()
	if form == nil && len(r.Body) > 0 {
		return dst, errors.New("the body is no well-formed form, so nothing vouches for it")
	}
	query := maps.Clone(map[string][]string(r.Query()))
	if r.Method == http.MethodGet {
		if query == nil {
			query = map[string][]string{}
		}
		for key, values := range form {
			query[key] = append(slices.Clip(query[key]), values...)
		}
		form = nil
	}
	dst = append(dst, base...)
	if len(query) > 0 || len(form) > 0 {
		dst = append(dst, '?')
	}
	dst = appendSortedPairs(dst, query, "=", "&")
	if len(query) > 0 && len(form) > 0 {
		dst = append(dst, '.')
	}
	return appendSortedPairs(dst, form, "", ""), nil
}

func appendSortedPairs(dst []byte, values url.Values, equals, between string) []byte {
	first := true
	for _, key := range slices.Sorted(maps.Keys(values)) {
		for _, value := range slices.Sorted(slices.Values(values[key])) {
			if !first {
				dst = append(dst, between...)
			}
			first = false
			dst = append(append(append(dst, key...), equals...), value...)
		}
	}
	return dst
}

// appendVonage is Vonage's for SMS: "&key=value" of every field but sig, sorted
// by key, with "&" and "=" inside values turned into "_". A repeated field would
// leave open which value was signed and is refused.
func appendVonage(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	form := r.Form()
	if form == nil {
		return dst, errors.New("the body is no well-formed form")
	}
	for _, key := range slices.Sorted(maps.Keys(form)) {
		if key == "sig" {
			continue
		}
		if len(form[key]) != 1 {
			return dst, fmt.Errorf("form field %.40q comes %d times", key, len(form[key]))
		}
		dst = append(append(append(dst, '&'), key...), '=')
		for i := range len(form[key][0]) {
			c := form[key][0][i]
			if c == '&' || c == '=' {
				c = '_'
			}
			dst = append(dst, c)
		}
	}
	return dst, nil
}

// appendFirstItem is Segment's: the first element of a batch, as it stands there.
func appendFirstItem(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	if !r.ValidJSON() {
		return dst, errors.New("the body is no JSON")
	}
	all := gjson.ParseBytes(r.Body)
	first := all.Get("0")
	if !all.IsArray() || !first.Exists() {
		return dst, errors.New("the body is no array with a first item")
	}
	return append(dst, first.Raw...), nil
}

// adyenFields are joined with ":"; what is missing is empty, and colons inside
// values stay as they are, as in Adyen's libraries.
var adyenFields = []string{
	"pspReference", "originalReference", "merchantAccountCode", "merchantReference",
	"amount.value", "amount.currency", "eventCode", "success",
}

func appendAdyenItem(dst []byte, _ *Request, g *group, _ *Scheme) ([]byte, error) {
	item := g.item.Get("NotificationRequestItem")
	if !item.IsObject() {
		return dst, errors.New("an item without NotificationRequestItem")
	}
	for i, field := range adyenFields {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, item.Get(field).String()...)
	}
	return dst, nil
}

// appendContentful is Contentful's: method, path with query, the named headers as
// "name:value" joined with ";", and the body, a line each. The time must be among
// the headers, or it would not be signed.
func appendContentful(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	names := strings.Split(r.Header.Get("X-Contentful-Signed-Headers"), ",")
	for i := range names {
		names[i] = strings.ToLower(strings.TrimSpace(names[i]))
	}
	if !slices.Contains(names, "x-contentful-timestamp") || len(names) > maxCandidates {
		return dst, errors.New("x-contentful-signed-headers does not name x-contentful-timestamp")
	}
	dst = append(append(dst, r.Method...), '\n')
	dst = append(append(dst, pathOf(r.URL)...), '\n')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = append(append(append(dst, name...), ':'), strings.TrimSpace(r.Header.Get(name))...)
	}
	return append(append(dst, '\n'), r.Body...), nil
}

// pathOf returns path and query of an absolute URL as they are written.
func pathOf(u string) string {
	if _, after, ok := strings.Cut(u, "://"); ok {
		u = after
	}
	if i := strings.IndexAny(u, "/?"); i >= 0 {
		if u[i] == '?' {
			return "/" + u[i:]
		}
		return u[i:]
	}
	return "/"
}

// appendHygraph is Hygraph's: a JSON object as JavaScript would write it.
func appendHygraph(dst []byte, r *Request, g *group, s *Scheme) ([]byte, error) {
	environment, err := s.param(r, g, "env")
	if err != nil {
		return dst, err
	}
	dst = appendJSString(append(dst, `{"Body":`...), string(r.Body))
	dst = appendJSString(append(dst, `,"EnvironmentName":`...), environment)
	dst = append(append(dst, `,"TimeStamp":`...), g.timestamp...)
	return append(dst, '}'), nil
}

// appendJSString writes a string as JSON.stringify does, which escapes less than
// encoding/json.
func appendJSString(dst []byte, s string) []byte {
	const short = "\b\t\n\f\r\"\\"
	dst = append(dst, '"')
	for _, c := range s {
		switch i := strings.IndexRune(short, c); {
		case i >= 0:
			dst = append(dst, '\\', `btnfr"\`[i])
		case c < ' ':
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = utf8.AppendRune(dst, c)
		}
	}
	return append(dst, '"')
}

// appendEscapedBody is Box's second form: all that is not ASCII as \uXXXX in
// lower case, beyond the basic plane as two surrogates.
func appendEscapedBody(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	if !utf8.Valid(r.Body) {
		return dst, errors.New("the body is no UTF-8")
	}
	for _, c := range string(r.Body) {
		switch {
		case c < utf8.RuneSelf:
			dst = append(dst, byte(c))
		case c > 0xffff:
			c -= 0x10000
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, c)
		}
	}
	return dst, nil
}

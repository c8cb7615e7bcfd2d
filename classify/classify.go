// Package classify says what an answer of a third party meant (requirements
// R4.1 to R4.9). A provider's profile tells where it differs from HTTP: a 403
// that is a limit (GitHub), a 200 that is an error (Slack), where the body holds
// code and message. The package is pure: it reads no clock and opens nothing.
//
// A Failure keeps its readers apart: Message is for the person using the
// product, Hint for the developer, and the provider's own words stay in
// ProviderCode and ProviderMessage, shortened and without control characters.
package classify

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// MaxText is how many bytes of a provider's code, message or request id are
// kept.
const MaxText = 500

// Dialect classifies the answers of one provider. It may be used by many
// goroutines at once. Make it with Compile.
type Dialect struct {
	name     string // of the provider, for people
	errors   catalog.Errors
	limits   catalog.Limits
	meanings []meaning
}

// meaning is a catalog.MeaningRule made ready.
type meaning struct {
	status        int
	codes         []string
	header, value string
	class         integration.Class
}

// classes a profile may name.
var classes = []integration.Class{
	integration.ClassOK, integration.ClassInvalid, integration.ClassUnauthorized, integration.ClassForbidden, integration.ClassMissing,
	integration.ClassConflict, integration.ClassRejected, integration.ClassLimited, integration.ClassUnavailable, integration.ClassTimeout, integration.ClassBroken,
}

// Compile makes the Dialect of a provider. A nil profile is plain HTTP.
func Compile(p *catalog.Profile) (*Dialect, error) {
	if p == nil {
		return &Dialect{name: "The provider"}, nil
	}
	d := &Dialect{name: p.Name, errors: p.Errors, limits: p.Limits}
	if d.name == "" {
		d.name = "The provider"
	}
	for i, r := range p.Errors.Meanings {
		class := integration.Class(r.Class)
		if !slices.Contains(classes, class) {
			return nil, fmt.Errorf("errors.meanings[%d].class: %q is no class; use one of %v", i, r.Class, classes)
		}
		header, value, _ := strings.Cut(r.Header, "=")
		d.meanings = append(d.meanings, meaning{r.Status, r.Codes, strings.TrimSpace(header), strings.TrimSpace(value), class})
	}
	return d, nil
}

// NeedsBody reports whether an answer with this status can only be judged with
// its body: errors, and successes of providers that put errors into them.
func (d *Dialect) NeedsBody(status int) bool {
	return status >= 400 || status >= 200 && status < 300 && d.errors.InSuccess != nil
}

// Answer says what an answer meant; body may be cut off. The Failure is nil for
// a success. now is used for waits the provider gives as a date.
func (d *Dialect) Answer(status int, header http.Header, body []byte, now time.Time) (integration.Class, *integration.Failure) {
	if !looksLikeJSON(body) {
		body = nil
	}
	class := byStatus(status)
	if status >= 200 && status < 300 {
		if d.errors.InSuccess == nil || !signals(d.errors.InSuccess, body) {
			return integration.ClassOK, nil
		}
		class = integration.ClassRejected // R4.9
	}
	if class == integration.ClassOK {
		return class, nil
	}
	f := &integration.Failure{
		ProviderCode:      at(body, d.errors.CodePath),
		ProviderMessage:   at(body, d.errors.MessagePath),
		ProviderRequestID: d.RequestID(header),
	}
	if own, ok := d.meaning(status, header, f.ProviderCode); ok {
		class = own
	} else if d.limited(status, header, body) {
		class = integration.ClassLimited
	}
	if class == integration.ClassOK {
		return class, nil
	}
	f.Class = class
	f.RetryAfter = d.wait(class, header, now)
	d.explain(f)
	f.Err = fmt.Errorf("answered %d", status)
	if status >= 300 && status < 400 {
		f.Code = "provider_redirected"
		f.Hint = "Redirects are not followed. The base URL in the plan may be out of date."
	}
	return class, f
}

// RequestID is the provider's id of a request, from its answer; empty when it
// gives none.
func (d *Dialect) RequestID(header http.Header) string {
	if d.errors.RequestIDHeader == "" {
		return ""
	}
	return clean(header.Get(d.errors.RequestIDHeader))
}

// byStatus is what a status means in plain HTTP (RFC 9110).
func byStatus(status int) integration.Class {
	switch {
	case status == http.StatusNotModified, status >= 200 && status < 300:
		return integration.ClassOK
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		return integration.ClassInvalid // R4.1
	case status == http.StatusUnauthorized:
		return integration.ClassUnauthorized // R4.2
	case status == http.StatusForbidden:
		return integration.ClassForbidden // R4.3
	case status == http.StatusNotFound, status == http.StatusGone:
		return integration.ClassMissing // R4.4
	case status == http.StatusConflict:
		return integration.ClassConflict // R4.5
	case status == http.StatusRequestTimeout:
		return integration.ClassTimeout
	case status == http.StatusTooManyRequests:
		return integration.ClassLimited // R4.6
	case status >= 400 && status < 500:
		return integration.ClassRejected
	case status >= 500 && status < 600:
		return integration.ClassUnavailable // R4.7
	}
	return integration.ClassBroken
}

// meaning is the first rule of the profile that fits.
func (d *Dialect) meaning(status int, header http.Header, code string) (integration.Class, bool) {
	for _, m := range d.meanings {
		if m.status != 0 && m.status != status {
			continue
		}
		if len(m.codes) > 0 && !slices.Contains(m.codes, code) {
			continue
		}
		if m.header != "" {
			values := header.Values(m.header)
			if len(values) == 0 || m.value != "" && strings.TrimSpace(values[0]) != m.value {
				continue
			}
		}
		return m.class, true
	}
	return "", false
}

// ambiguous are statuses that mean something else when no limit is meant.
var ambiguous = []int{200, 400, 401, 403, 404, 503}

// limited recognises "too many" where the status alone does not say it.
func (d *Dialect) limited(status int, header http.Header, body []byte) bool {
	if status == http.StatusTooManyRequests {
		return true
	}
	signal := d.limits.Signal
	if signal != nil && signals(signal, body) {
		return true
	}
	if !slices.Contains(d.limits.Status, status) {
		return false
	}
	return !slices.Contains(ambiguous, status) || header.Get("Retry-After") != "" || d.nothingLeft(header)
}

// nothingLeft reports whether the provider's own header says so.
func (d *Dialect) nothingLeft(header http.Header) bool {
	h := d.limits.Headers
	return h != nil && h.Remaining != "" && strings.TrimSpace(header.Get(h.Remaining)) == "0"
}

// signals reports whether a value in the body is the one described.
func signals(s *catalog.BodySignal, body []byte) bool {
	if len(body) == 0 || s.Path == "" {
		return false
	}
	found := gjson.GetBytes(body, s.Path)
	if !found.Exists() {
		return false
	}
	text := found.String()
	return slices.Contains(s.Values, text) || s.Contains != "" && strings.Contains(text, s.Contains)
}

func at(body []byte, path string) string {
	if path == "" || len(body) == 0 {
		return ""
	}
	found := gjson.GetBytes(body, path)
	if found.IsObject() || found.IsArray() {
		return ""
	}
	return clean(found.String())
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

// clean makes a provider's text fit for a log line: valid, on one line, and not
// longer than MaxText.
func clean(s string) string {
	cut := len(s) > MaxText
	if cut {
		s = s[:MaxText]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return -1
		case r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r >= 0x80 && r < 0xa0:
			return ' '
		}
		return r
	}, s)
	if cut {
		s += "…"
	}
	return s
}

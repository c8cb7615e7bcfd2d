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
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// MaxText is how many bytes of a provider's code, message or request id are
// kept.
const MaxText = 500

// Dialect classifies the answers of one provider. It may be used by many
// goroutines at once. Make it with Compile.
type Dialect struct {
	name      string // of the provider, for people
	errors    catalog.Errors
	limits    catalog.Limits
	meanings  []meaning
	inSuccess bool     // a 2xx may be an error
	idHeaders []string // headers with the id of a request, as http.Header writes them
}

// meaning is a catalog.MeaningRule made ready.
type meaning struct {
	status        int
	codes         []string
	header, value string
	body          *catalog.BodySignal
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
	if p.Errors.RequestIDHeader != "" {
		for _, name := range append([]string{p.Errors.RequestIDHeader}, p.Errors.RequestIDAlso...) {
			d.idHeaders = append(d.idHeaders, http.CanonicalHeaderKey(name))
		}
	}
	for i, r := range p.Errors.Meanings {
		class := integration.Class(r.Class)
		if !slices.Contains(classes, class) {
			return nil, fmt.Errorf("errors.meanings[%d].class: %q is no class; use one of %v", i, r.Class, classes)
		}
		header, value, _ := strings.Cut(r.Header, "=")
		d.meanings = append(d.meanings, meaning{r.Status, r.Codes, strings.TrimSpace(header), strings.TrimSpace(value), r.Body, class})
	}
	for i, w := range p.Errors.Waits {
		if !slices.Contains(units, w.Unit) {
			return nil, fmt.Errorf("errors.waits[%d].unit: %q is no unit; use one of %v", i, w.Unit, units)
		}
	}
	d.inSuccess = d.errors.InSuccess != nil || d.limits.Signal != nil && slices.Contains(d.limits.Status, http.StatusOK)
	return d, nil
}

// NeedsBody reports whether an answer with this status can only be judged with
// its body: errors, and successes of providers that put errors into them.
func (d *Dialect) NeedsBody(status int) bool {
	return status >= 400 || status >= 200 && status < 300 && d.inSuccess
}

// Answer says what an answer meant; body may be cut off. The Failure is nil for
// a success. now is used for waits the provider gives as a date.
func (d *Dialect) Answer(status int, header http.Header, body []byte, now time.Time) (integration.Class, *integration.Failure) {
	class := byStatus(status)
	if class == integration.ClassOK && (status >= 300 || !d.inSuccess) {
		return class, nil
	}
	r := read(header, body)
	if class == integration.ClassOK {
		switch {
		case d.errors.InSuccess != nil && r.signals(d.errors.InSuccess):
			class = integration.ClassRejected // R4.9
		case d.limits.Signal != nil && slices.Contains(d.limits.Status, status) && r.signals(d.limits.Signal):
			class = integration.ClassLimited
		default:
			return class, nil
		}
	}
	f := &integration.Failure{
		ProviderCode:      d.code(header, r),
		ProviderMessage:   d.message(header, r),
		ProviderRequestID: d.requestID(header, r),
	}
	if own, ok := d.meaning(status, header, r, f.ProviderCode); ok {
		class = own
	} else if d.limited(status, header, r) {
		class = integration.ClassLimited
	}
	if class == integration.ClassOK {
		return class, nil
	}
	f.Class = class
	f.RetryAfter = d.wait(class, header, r, now)
	d.explain(f)
	f.Err = fmt.Errorf("answered %d", status)
	if status >= 300 && status < 400 {
		f.Code = "provider_redirected"
		f.Hint = "Redirects are not followed. The base URL in the plan may be out of date."
	}
	return class, f
}

// Gone reports whether an answer with this status proves that the thing asked
// for is not there any more (R4.4). Where the provider answers 404 also for what
// the credential may not see, only a 410 does.
func (d *Dialect) Gone(status int) bool {
	return status == http.StatusGone || status == http.StatusNotFound && !d.errors.ForbiddenAs404
}

// RequestID is the provider's id of a request, from the header of its answer;
// empty when it gives none.
func (d *Dialect) RequestID(header http.Header) string {
	for _, name := range d.idHeaders {
		if id := header[name]; len(id) > 0 && id[0] != "" {
			return clean(id[0])
		}
	}
	return ""
}

func (d *Dialect) requestID(header http.Header, r reading) string {
	if id := d.RequestID(header); id != "" {
		return id
	}
	return r.at(d.errors.RequestIDPath)
}

func (d *Dialect) code(header http.Header, r reading) string {
	if code := r.first(d.errors.CodePath, d.errors.CodeAlso); code != "" || d.errors.CodeHeader == "" {
		return code
	}
	return clean(header.Get(d.errors.CodeHeader))
}

// message is the provider's words: the declared place, else what the body says
// in another shape, so that an operator is not left with a bare status.
func (d *Dialect) message(header http.Header, r reading) string {
	if text := r.first(d.errors.MessagePath, d.errors.MessageAlso); text != "" {
		return text
	}
	if d.errors.MessageHeader != "" {
		if text := header.Get(d.errors.MessageHeader); text != "" {
			return clean(text)
		}
	}
	if text := r.whole(d.errors.MessagePath); text != "" {
		return text
	}
	return clean(r.text)
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
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
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
func (d *Dialect) meaning(status int, header http.Header, r reading, code string) (integration.Class, bool) {
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
		if m.body != nil && !r.signals(m.body) {
			continue
		}
		return m.class, true
	}
	return "", false
}

// limited recognises "too many" where the status alone does not say it. Of the
// statuses a profile lists, 429 and those unknown to HTTP (420, 430, 529) mean
// nothing else; the others need a sign.
func (d *Dialect) limited(status int, header http.Header, r reading) bool {
	if status == http.StatusTooManyRequests {
		return true
	}
	if d.limits.Signal != nil && r.signals(d.limits.Signal) {
		return true
	}
	if !slices.Contains(d.limits.Status, status) {
		return false
	}
	return http.StatusText(status) == "" || header.Get("Retry-After") != "" || d.nothingLeft(header)
}

// nothingLeft reports whether the provider's own header says so.
func (d *Dialect) nothingLeft(header http.Header) bool {
	h := d.limits.Headers
	if h == nil || h.Remaining == "" {
		return false
	}
	left, err := strconv.ParseFloat(strings.TrimSpace(header.Get(h.Remaining)), 64)
	return err == nil && left <= 0
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

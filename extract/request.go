package extract

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"
)

// Request is an inbound request as far as paths can read it. Forms, queries and
// JSON are looked at when a path first asks for them and remembered; a Request
// is therefore for one goroutine. Use SetBody to change the body after a path
// was read.
type Request struct {
	Method string            // GET, POST
	URL    string            // the full public URL, query included
	Header http.Header       // keys in canonical form, as net/http has them
	Body   []byte            // the exact bytes that were received
	Config map[string]string // values for config: paths; may be nil

	json, formRead, queryRead bool // what was looked at
	jsonValid                 bool
	form, query               url.Values
}

// SetBody replaces the body and forgets what was read from the old one.
func (r *Request) SetBody(body []byte) {
	r.Body = body
	r.json, r.formRead, r.form = false, false, nil
}

// SetURL replaces the URL and forgets the old query.
func (r *Request) SetURL(u string) {
	r.URL = u
	r.queryRead, r.query = false, nil
}

// ValidJSON reports whether the whole body is one JSON value.
func (r *Request) ValidJSON() bool {
	if !r.json {
		r.json, r.jsonValid = true, gjson.ValidBytes(r.Body)
	}
	return r.jsonValid
}

// IsForm reports whether the body is declared as a URL-encoded form.
// Multipart bodies are not.
func (r *Request) IsForm() bool {
	v := r.Header["Content-Type"]
	if len(v) == 0 {
		return false
	}
	kind, _, err := mime.ParseMediaType(v[0])
	return err == nil && kind == "application/x-www-form-urlencoded"
}

// Form returns the fields of a URL-encoded body. It is nil when the body is
// none, or is not well-formed.
func (r *Request) Form() url.Values {
	if !r.formRead {
		r.formRead = true
		if r.IsForm() {
			r.form = parse(string(r.Body))
		}
	}
	return r.form
}

// Query returns the parameters of the URL. It is nil when there are none, or
// they are not well-formed.
func (r *Request) Query() url.Values {
	if !r.queryRead {
		r.queryRead = true
		if _, query, ok := strings.Cut(r.URL, "?"); ok {
			query, _, _ = strings.Cut(query, "#")
			r.query = parse(query)
		}
	}
	return r.query
}

// parse reads all or nothing: half a form is not what the sender meant.
func parse(s string) url.Values {
	values, err := url.ParseQuery(s)
	if err != nil {
		return nil
	}
	return values
}

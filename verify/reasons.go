package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// trial is one thing that may have gone wrong, undone.
type trial struct {
	reason  string
	spec    *catalog.Verification // nil: the scheme as it is
	request *Request              // nil: the request as it is
	secrets []integration.Secret  // nil: the secrets as they are
}

// reasons fills e.Reasons. First come those the error tells by itself, then what
// can be tried out, then what remains.
func (s *Scheme) reasons(ctx context.Context, e *Explanation, r *Request, given Given, err error) {
	switch {
	case errors.Is(err, ErrNoSecret):
		e.Reasons = append(e.Reasons, "No secret can be used: look at --secret, and at the form this provider's secrets have ("+orNothing(s.spec.KeyEncoding, "as they are")+").")
	case errors.Is(err, ErrNoKey):
		e.Reasons = append(e.Reasons, "The provider's public key could not be fetched: see whether its server is reachable, or give the key as the secret.")
	case errors.Is(err, ErrStale):
		e.Proven = true
		e.Reasons = append(e.Reasons, "The time is old: this is a replay or a late delivery, or our clock is ahead. For a captured request pass the time it came with --now.")
	case errors.Is(err, ErrFuture):
		e.Proven = true
		e.Reasons = append(e.Reasons, "The time lies ahead: our clock is behind, or the provider's is ahead.")
	}
	if len(e.Reasons) > 0 {
		return
	}
	for _, t := range s.trials(r, given) {
		if s.try(ctx, t, r, given) {
			e.Proven = true
			e.Reasons = append(e.Reasons, t.reason)
			return
		}
	}
	e.Reasons = append(e.Reasons, s.remaining(r, err)...)
}

// try reports whether the request verifies after the trial's change. The time is
// left out: it is not what is being looked for.
func (s *Scheme) try(ctx context.Context, t trial, r *Request, given Given) bool {
	spec := s.spec
	if t.spec != nil {
		spec = *t.spec
	}
	spec.ToleranceS = 0
	changed, err := Compile(spec)
	if err != nil {
		return false
	}
	request := t.request
	if request == nil {
		request = &Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: r.Body, Config: r.Config}
	}
	if t.secrets != nil {
		given.Secrets = t.secrets
	}
	err = changed.VerifyWith(ctx, request, given)
	return err == nil || errors.Is(err, ErrStale) || errors.Is(err, ErrFuture)
}

func (s *Scheme) trials(r *Request, given Given) []trial {
	return slices.Concat(s.bodyTrials(r), s.secretTrials(given), s.urlTrials(r), s.formTrials(), s.headerTrials(r))
}

// bodyTrials undo what parsers, editors and terminals do to a body.
func (s *Scheme) bodyTrials(r *Request) []trial {
	var list []trial
	add := func(body []byte, reason string) {
		if body != nil && !bytes.Equal(body, r.Body) {
			list = append(list, trial{reason: reason, request: &Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: body, Config: r.Config}})
		}
	}
	trimmed := bytes.TrimRight(r.Body, "\r\n \t")
	add(trimmed, "The body got white space at its end, as editors and shells add it; the provider signed it without.")
	add(append(slices.Clone(trimmed), '\n'), "The body lost the line break at its end; the provider signed it with one.")
	add(append(slices.Clone(trimmed), "\r\n"...), "The body lost the CR LF at its end; the provider signed it with them.")
	add(bytes.ReplaceAll(r.Body, []byte("\r\n"), []byte("\n")), "The body's line breaks became CR LF on the way.")
	add(bytes.ReplaceAll(bytes.ReplaceAll(r.Body, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n")), "The body's CR LF became LF on the way.")
	add(bytes.TrimPrefix(r.Body, []byte("\xef\xbb\xbf")), "The body got a byte order mark in front.")
	if !r.ValidJSON() {
		return list
	}
	const reserialised = "The body was parsed and written anew (%s); hand over the raw bytes, before any JSON middleware."
	for _, s := range serialisations(trimmed) {
		add(s.body, fmt.Sprintf(reserialised, s.lost))
	}
	return list
}

// serialisation is another way to write the same JSON, and what would have been
// lost by writing it as it came to us.
type serialisation struct {
	lost string
	body []byte
}

func serialisations(body []byte) []serialisation {
	var compact bytes.Buffer
	if json.Compact(&compact, body) != nil {
		return nil
	}
	flat := compact.Bytes()
	list := []serialisation{
		{"it was indented, and the provider sends it compact", flat},
		{"spaces after separators are missing", spaced(flat)},
		{"the escapes of slashes are missing", bytes.ReplaceAll(flat, []byte("/"), []byte(`\/`))},
		{"slashes were escaped", bytes.ReplaceAll(flat, []byte(`\/`), []byte("/"))},
	}
	if escaped, err := appendEscapedBody(nil, &Request{Body: flat}, nil, nil); err == nil {
		list = append(list, serialisation{`\u escapes were resolved`, escaped})
	}
	for _, indent := range []struct{ name, text string }{{"two spaces", "  "}, {"four spaces", "    "}, {"a tab", "\t"}} {
		var b bytes.Buffer
		if json.Indent(&b, body, "", indent.text) == nil {
			list = append(list, serialisation{"the provider indents it by " + indent.name, b.Bytes()})
		}
	}
	return list
}

// spaced is compact JSON as Python's json.dumps writes it.
func spaced(compact []byte) []byte {
	var out []byte
	inString := false
	for i, c := range compact {
		out = append(out, c)
		switch {
		case c == '"' && !escapedAt(compact, i):
			inString = !inString
		case !inString && (c == ',' || c == ':'):
			out = append(out, ' ')
		}
	}
	return out
}

func escapedAt(b []byte, i int) bool {
	n := 0
	for i--; i >= 0 && b[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

// secretTrials read the same secrets in other ways.
func (s *Scheme) secretTrials(given Given) []trial {
	var list []trial
	each := func(change func(string) string, reason string) {
		var changed []integration.Secret
		differs := false
		for _, secret := range given.Secrets {
			text := change(secret.Reveal())
			differs = differs || text != secret.Reveal()
			changed = append(changed, integration.NewSecret(text))
		}
		if differs {
			list = append(list, trial{reason: reason, secrets: changed})
		}
	}
	each(strings.TrimSpace, "The secret has white space around it, perhaps a line break from a file.")
	each(func(t string) string { return strings.Trim(strings.TrimSpace(t), `"'`) }, "The secret has quotation marks around it.")
	each(func(t string) string { return "whsec_" + t }, "The secret lost its prefix whsec_, which belongs to the key.")
	each(func(t string) string { return strings.TrimPrefix(t, "whsec_") }, "The secret's prefix whsec_ does not belong to the key here.")
	if s.family != "hmac" {
		return list
	}
	for _, encoding := range []string{"utf8", "hex", "base64", "base64_after_prefix:whsec_", "sha1_raw", "sha256_raw"} {
		if encoding == s.spec.KeyEncoding {
			continue
		}
		spec := s.spec
		spec.KeyEncoding = encoding
		list = append(list, trial{spec: &spec, reason: fmt.Sprintf("The secret is used as %s, and this request was signed with it as %s.", orNothing(s.spec.KeyEncoding, "utf8"), encoding)})
	}
	return list
}

// urlTrials undo what proxies do to an address.
func (s *Scheme) urlTrials(r *Request) []trial {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" {
		return nil
	}
	var list []trial
	add := func(change func(*url.URL), what string) {
		c := *u
		change(&c)
		if text := c.String(); text != r.URL {
			list = append(list, trial{
				request: &Request{Method: r.Method, URL: text, Header: r.Header, Body: r.Body, Config: r.Config},
				reason:  "The address differs from the one that was signed (" + what + "); set --public-url to what the provider calls.",
			})
		}
	}
	add(func(c *url.URL) { c.Scheme = "https" }, "it is https outside and http here")
	add(func(c *url.URL) { c.Scheme = "http" }, "it is http outside and https here")
	add(func(c *url.URL) { c.Path = strings.TrimSuffix(c.Path, "/") }, "it has no slash at its end")
	add(func(c *url.URL) { c.Path = strings.TrimSuffix(c.Path, "/") + "/" }, "it has a slash at its end")
	add(func(c *url.URL) { c.Host = c.Hostname() }, "it has no port")
	add(func(c *url.URL) { c.Host = c.Hostname() + ":443" }, "it has the port 443")
	add(func(c *url.URL) { c.RawQuery = "" }, "it has no query")
	if forwarded := r.Header.Get("X-Forwarded-Host"); forwarded != "" {
		add(func(c *url.URL) { c.Host = forwarded }, "its host is the one in X-Forwarded-Host")
		add(func(c *url.URL) { c.Host, c.Scheme = forwarded, "https" }, "its host is the one in X-Forwarded-Host, with https")
	}
	return list
}

// formTrials read the signature in another form.
func (s *Scheme) formTrials() []trial {
	var list []trial
	add := func(reason string, change func(*catalog.Verification)) {
		spec := s.spec
		change(&spec)
		list = append(list, trial{spec: &spec, reason: reason})
	}
	for _, encoding := range []string{"hex", "base64", "base64url"} {
		if s.spec.Encoding != "" && encoding != s.spec.Encoding {
			add(fmt.Sprintf("The signature is %s where the scheme has %s.", encoding, s.spec.Encoding), func(v *catalog.Verification) { v.Encoding = encoding })
		}
	}
	if p := s.spec.Parse; p != nil && p.Prefix != "" {
		add(fmt.Sprintf("The signature comes without its prefix %q; something on the way cuts it off.", p.Prefix), func(v *catalog.Verification) {
			v.Parse, v.Format = nil, ""
		})
	}
	if p := s.spec.Parse; p == nil && s.prover == nil {
		for _, prefix := range []string{"sha256=", "sha1=", "sha512=", "v0=", "v1="} {
			add(fmt.Sprintf("The signature has a prefix %q that the scheme does not have; perhaps another version of it.", prefix), func(v *catalog.Verification) {
				v.Parse, v.Format = &catalog.SignatureParse{Prefix: prefix}, ""
			})
		}
	}
	for _, unit := range []string{"s", "ms"} {
		if s.spec.TimestampUnit != "" && unit != s.spec.TimestampUnit {
			add(fmt.Sprintf("The time is in %s where the scheme has %s.", unit, s.spec.TimestampUnit), func(v *catalog.Verification) { v.TimestampUnit = unit })
		}
	}
	return list
}

// headerTrials look for the signature under another name.
func (s *Scheme) headerTrials(r *Request) []trial {
	var list []trial
	for name := range r.Header {
		lower := strings.ToLower(name)
		if !strings.Contains(lower, "sign") && !strings.Contains(lower, "hmac") && !strings.Contains(lower, "token") || slices.Contains(s.spec.Header, name) {
			continue
		}
		spec := s.spec
		spec.Header = catalog.OneOrMore{http.CanonicalHeaderKey(name)}
		list = append(list, trial{spec: &spec, reason: fmt.Sprintf("The signature stands in %s, not in %s; a proxy may rename headers.", name, s.where)})
	}
	return list
}

// remaining are the reasons that can't be tried out.
func (s *Scheme) remaining(r *Request, err error) []string {
	switch {
	case errors.Is(err, ErrUnsigned):
		return []string{
			"The header is missing: the sender did not sign, a proxy drops the header, or this is another version of the provider's scheme.",
			"This is no webhook of this provider.",
		}
	case errors.Is(err, ErrMalformed):
		return []string{"The signature or the time has another form than this provider's: another version of the scheme, or another provider."}
	}
	list := []string{"The secret is another one: each endpoint has its own, and one that was rolled no longer signs."}
	if live := gjson.GetBytes(r.Body, "livemode"); r.ValidJSON() && live.Exists() {
		mode := "test"
		if live.Bool() {
			mode = "live"
		}
		list[0] = fmt.Sprintf("The secret is another one: the event is from %s mode, and test and live have different secrets.", mode)
	}
	return append(list, "The body was changed on the way in a way that could not be guessed: look for middleware that parses it.")
}

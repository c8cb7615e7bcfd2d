package catalog

import (
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
)

// Finding is one thing that is wrong with a profile.
type Finding struct {
	Path    string // place in the profile: limits.list[0].window_s
	Rule    string // stable name of the rule that is broken: url, header, limit, …
	Message string // what is wrong and what is allowed
}

// String is "path: message (rule)".
func (f Finding) String() string { return f.Path + ": " + f.Message + " (" + f.Rule + ")" }

// Words a profile may use.
var (
	confidences  = []string{string(Documented), string(FromSDK), string(FromRepo), string(Recalled)}
	encodings    = []string{string(EncodingForm), string(EncodingJSON)}
	authKinds    = []string{"api_key", "basic", "client_credentials", "custom", "jwt", "jwt_bearer", "oauth1", "oauth2", "password"}
	limitUnits   = []string{"", "bytes", "concurrent", "credits", "points", "requests", "tokens", "units"}
	retryAfters  = []string{"", "absent", "http_date", "seconds"}
	resetFormats = []string{"", "duration", "epoch_milliseconds", "epoch_seconds", "http_date", "iso8601", "milliseconds", "minutes", "seconds"}
	pageStyles   = []string{"", "cursor", "cursor_by_id", "link_header", "next_url", "offset", "page"}
	sandboxKinds = []string{"", "account", "flag", "host", "key_prefix", "local", "none", "test_data", "workspace"}
	apiStyles    = []string{"", "graphql", "odata", "rest", "rpc"}
	timeFormats  = []string{"", "rfc3339", "unix_ms", "unix_s"}
	environments = []string{"production", "sandbox"}
	classes      = []string{
		string(integration.ClassConflict), string(integration.ClassForbidden), string(integration.ClassInvalid), string(integration.ClassLimited),
		string(integration.ClassMissing), string(integration.ClassRejected), string(integration.ClassTimeout), string(integration.ClassUnauthorized),
		string(integration.ClassUnavailable),
	}
	schemes = []string{
		"api_callback", "basic_auth", "ecdsa", "ed25519", "hash_concat", "hmac", "http_message_signatures", "jwt", "mtls", "rsa", "shared_token",
	}
)

var (
	slug       = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	repository = regexp.MustCompile(`^(npm:)?@?[A-Za-z0-9][\w.-]*(/[\w.@/-]+)?(@[\w.-]+)?(:[^\s]+)?$`)
	variable   = regexp.MustCompile(`\{[a-z][a-z0-9_]*\}`)
)

// Lint judges a profile: addresses, names, numbers, sources and the words that
// have a fixed set of values. It returns nothing when all is well, and every
// mistake otherwise, in the order of the file. Whether a webhook signature scheme
// makes sense as a whole is for verify.Compile to say.
func Lint(p *Profile) []Finding {
	l := &linter{}
	l.identity(p)
	for _, s := range p.Sections() {
		l.provenance(s)
	}
	l.unsure(p)
	l.api(p)
	for i := range p.Auth {
		l.auth(fmt.Sprintf("auth[%d]", i), &p.Auth[i])
	}
	l.limits(&p.Limits)
	l.errors(&p.Errors)
	l.header("idempotency.header", p.Idempotency.Header, true)
	l.notNegative("idempotency.keep_hours", p.Idempotency.KeepHours)
	l.notNegative("idempotency.max_length", p.Idempotency.MaxLength)
	l.field("idempotency.param", p.Idempotency.Param)
	if p.Idempotency.Header == "" && p.Idempotency.Param == "" && (p.Idempotency.KeepHours != 0 || len(p.Idempotency.Methods) > 0 || p.Idempotency.MaxLength != 0) {
		l.add("idempotency.header", "required", "details of a key without the header that carries it")
	}
	l.oneOf("pagination.style", p.Pagination.Style, pageStyles)
	l.notNegative("pagination.max_page", p.Pagination.MaxPage)
	if p.Webhooks != nil {
		l.webhooks(p.Webhooks)
	}
	l.oneOf("sandbox.kind", p.Sandbox.Kind, sandboxKinds)
	l.url("sandbox.base_url", p.Sandbox.BaseURL, true)
	l.url("service.status_page", p.Service.StatusPage, true)
	return l.findings
}

type linter struct{ findings []Finding }

func (l *linter) add(path, rule, format string, args ...any) {
	l.findings = append(l.findings, Finding{path, rule, fmt.Sprintf(format, args...)})
}

func (l *linter) identity(p *Profile) {
	if !slug.MatchString(p.ID) {
		l.add("id", "slug", "%q is no slug: a lower-case letter, then letters, digits, - and _", p.ID)
	}
	if p.Name == "" {
		l.add("name", "required", "the provider's name is missing")
	}
	if !slug.MatchString(p.Category) {
		l.add("category", "slug", "%q is no category: one lower-case word such as payments", p.Category)
	}
	l.url("docs", p.Docs, false)
	for i, alias := range p.Aliases {
		if !slug.MatchString(alias) || alias == p.ID {
			l.add(fmt.Sprintf("aliases[%d]", i), "slug", "%q is no further name: a slug other than the id", alias)
		}
	}
	if p.API.BaseURL == "" && p.Webhooks == nil {
		l.add("api.base_url", "required", "a profile knows an API, or webhooks, or both")
	}
}

func (l *linter) provenance(s Section) {
	if s.Provenance.Confidence == "" && len(s.Provenance.Source) == 0 && s.Empty() {
		return // nothing is known, and nothing is said
	}
	l.oneOf(s.Path+".confidence", string(s.Provenance.Confidence), confidences)
	if len(s.Provenance.Source) == 0 {
		l.add(s.Path+".source", "source", "no fact stands without a source: a URL, or repository:path@commit")
	}
	for i, source := range s.Provenance.Source {
		if strings.Contains(source, "://") {
			l.url(fmt.Sprintf("%s.source[%d]", s.Path, i), source, false)
		} else if !repository.MatchString(source) {
			l.add(fmt.Sprintf("%s.source[%d]", s.Path, i), "source", "%q is neither a URL nor repository:path@commit", source)
		}
	}
}

// unsure checks that the fields which are only recalled are there at all.
func (l *linter) unsure(p *Profile) {
	root := reflect.ValueOf(p).Elem()
	for _, s := range p.Sections() {
		section, ok := field(root, strings.Replace(s.Path, "[", ".", 1))
		for i, name := range s.Provenance.Unsure {
			path := fmt.Sprintf("%s.unsure[%d]", s.Path, i)
			if !ok {
				continue
			}
			switch v, found := field(section, name); {
			case !found:
				l.add(path, "unsure", "%s has no field %q", s.Path, name)
			case v.IsZero():
				l.add(path, "unsure", "%s.%s is not set, so nothing is unsure about it; say it in the note", s.Path, name)
			}
		}
		if s.Provenance.Confidence == Recalled && len(s.Provenance.Unsure) > 0 {
			l.add(s.Path+".unsure", "unsure", "the whole section is recalled already")
		}
	}
}

func (l *linter) api(p *Profile) {
	known := p.API.Confidence != ""
	l.url("api.base_url", p.API.BaseURL, !known)
	l.variables(p)
	l.oneOf("api.style", p.API.Style, apiStyles)
	for _, name := range keys(p.API.OtherURLs) {
		l.url("api.other_urls."+name, p.API.OtherURLs[name], false)
	}
	if pin := p.API.VersionPin; pin != nil {
		l.oneOf("api.version_pin.in", pin.In, []string{"accept", "content_type", "header", "path", "query"})
		if pin.In == "header" {
			l.header("api.version_pin.name", pin.Name, false)
		}
		if p.API.Version == "" {
			l.add("api.version", "required", "a version can be pinned but none is named")
		}
	}
	for _, name := range keys(p.API.Headers) {
		l.header("api.headers."+name, name, false)
		if v := p.API.Headers[name]; v == "" || strings.ContainsAny(v, "\r\n") {
			l.add("api.headers."+name, "header", "its value must be one line, and not empty")
		}
	}
	if known {
		l.oneOf("api.request", string(p.API.Request), encodings)
		l.oneOf("api.response", string(p.API.Response), encodings)
	}
	for i, host := range p.API.Hosts {
		if u, err := url.Parse("https://" + host); err != nil || u.Host != host {
			l.add(fmt.Sprintf("api.hosts[%d]", i), "url", "%q is no host name", host)
		}
	}
	for _, file := range []struct{ path, name string }{{"document.embedded", p.Document.Embedded}, {"document.fixtures", p.Document.Fixtures}} {
		if file.name == "" {
			continue
		}
		if r, err := OpenDocument(file.name); err != nil {
			l.add(file.path, "document", "%v", err)
		} else {
			r.Close()
		}
	}
}

func (l *linter) webhooks(w *Webhooks) {
	l.verification("webhooks.verify", &w.Verify)
	for i := range w.Variants {
		path := fmt.Sprintf("webhooks.variants[%d]", i)
		if w.Variants[i].Name == "" {
			l.add(path+".name", "required", "a variant needs a name")
		}
		l.verification(path+".verify", &w.Variants[i].Verify)
	}
	if len(w.ID)+len(w.Composite) == 0 && w.Gaps == "" {
		l.add("webhooks.id", "required", "without the event's id a repeat can't be recognised; name paths that together tell events apart in composite, or say in gaps why there are none")
	}
	if len(w.Type) == 0 && w.Gaps == "" {
		l.add("webhooks.type", "required", "without the event's type nothing can be chosen; say in gaps why there is none")
	}
	if _, err := extract.ParseSplit(w.Batch); err != nil {
		l.add("webhooks.batch", "path", "%v", err)
	}
	for i, expr := range w.Composite {
		l.extract(fmt.Sprintf("webhooks.composite[%d]", i), expr)
	}
	for i, expr := range w.ID {
		l.extract(fmt.Sprintf("webhooks.id[%d]", i), expr)
	}
	for i, expr := range w.Type {
		l.extract(fmt.Sprintf("webhooks.type[%d]", i), expr)
	}
	if w.Time != "" {
		l.extract("webhooks.time", w.Time)
	}
	for i, expr := range w.Account {
		l.extract(fmt.Sprintf("webhooks.account[%d]", i), expr)
	}
	if w.Data != "" {
		l.extract("webhooks.data", "json:"+w.Data)
	}
	l.oneOf("webhooks.time_format", w.TimeFormat, timeFormats)
	unit := map[string]string{"s": "unix_s", "ms": "unix_ms", "rfc3339": "rfc3339"}[w.Verify.TimestampUnit]
	if strings.EqualFold(w.Time, "header:"+w.Verify.TimestampHeader) && unit != w.TimeFormat {
		l.add("webhooks.time_format", "contradiction", "the same header is signed as %s", w.Verify.TimestampUnit)
	}
	if (w.Time == "") != (w.TimeFormat == "") {
		l.add("webhooks.time_format", "required", "time and time_format belong together")
	}
	if w.Answer.Status == "" {
		l.add("webhooks.answer.status", "required", "say which answer the provider takes for a success: 2xx, 200")
	}
	l.notNegative("webhooks.answer.deadline_s", w.Answer.DeadlineS)
	if w.Subscription != nil {
		l.subscription(w.Subscription)
	}
}

func (l *linter) verification(path string, v *Verification) {
	l.oneOf(path+".scheme", v.Scheme, schemes)
	if v.Scheme != "hmac" {
		return
	}
	for i, h := range v.Header {
		place := fmt.Sprintf("%s.header[%d]", path, i)
		if strings.Contains(h, ":") {
			l.extract(place, h)
		} else {
			l.header(place, h, false)
		}
	}
	if len(v.Header) == 0 {
		l.add(path+".header", "required", "it must say where the signature stands")
	}
	l.notNegative(path+".tolerance_s", v.ToleranceS)
}

func (l *linter) extract(path, expr string) {
	if _, err := extract.Parse(expr); err != nil {
		l.add(path, "path", "%v", err)
	}
}

func (l *linter) oneOf(path, word string, words []string) {
	if slices.Contains(words, word) {
		return
	}
	var named []string
	for _, w := range words {
		if w != "" {
			named = append(named, w)
		}
	}
	l.add(path, "word", "%q is not one of %s", word, strings.Join(named, ", "))
}

// url wants an absolute https address; {names} may stand for what differs
// between customers.
func (l *linter) url(path, address string, optional bool) {
	if address == "" && optional {
		return
	}
	u, err := url.Parse(variable.ReplaceAllString(address, "x"))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		l.add(path, "url", "%q is no absolute https URL", address)
	}
}

func (l *linter) header(path, name string, optional bool) {
	if name == "" && optional {
		return
	}
	if !headerName.MatchString(name) {
		l.add(path, "header", "%q is no header name", name)
	}
}

func (l *linter) status(path string, status int) {
	if status < 100 || status > 599 {
		l.add(path, "status", "%d is no HTTP status", status)
	}
}

func (l *linter) notNegative(path string, n int) {
	if n < 0 {
		l.add(path, "number", "%d is less than nothing", n)
	}
}

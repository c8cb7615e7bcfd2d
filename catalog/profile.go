package catalog

import "time"

// Confidence says how a fact came to be known, best first (R0.1).
type Confidence string

// The four levels. A recalled fact in use is a review finding until a person
// confirms it, with a date, in the plan's profile.confirmed.
const (
	Documented Confidence = "documented" // read in the provider's own documentation
	FromSDK    Confidence = "from_sdk"   // read in the provider's official SDK or its tests
	FromRepo   Confidence = "from_repo"  // read in a public repository
	Recalled   Confidence = "recalled"   // from memory; nobody has confirmed it
)

// Provenance is where the facts of one section come from. It is embedded in
// every section of a profile, so no fact stands without it.
type Provenance struct {
	// Confidence holds for every field of the section that Unsure does not name.
	Confidence Confidence `yaml:"confidence" json:"confidence" jsonschema:"required,enum=documented,enum=from_sdk,enum=from_repo,enum=recalled"`
	// Source is where to read it: a URL, or repository:path@commit. Several are allowed.
	Source []string `yaml:"source" json:"source" jsonschema:"required"`
	// Unsure names the fields of this section that are only recalled although
	// the section as a whole is better known.
	Unsure []string `yaml:"unsure,omitempty" json:"unsure,omitempty"`
	// Note is what else a reader must know; never needed by the program.
	Note string `yaml:"note,omitempty" json:"note,omitempty"`
}

// Profile is what is known about one provider: facts, each with its source,
// never choices. One YAML file per provider in catalog/providers.
type Profile struct {
	ID       string `yaml:"id" json:"id"`             // slug, the file's name: stripe
	Name     string `yaml:"name" json:"name"`         // Stripe
	Category string `yaml:"category" json:"category"` // payments, developer, communication, …
	Docs     string `yaml:"docs" json:"docs"`         // where its API documentation starts
	// Aliases are further names that Load and Search find the profile by.
	Aliases []string `yaml:"aliases,omitempty" json:"aliases,omitempty"`
	// Text is what the provider is for, in a line, for people who search.
	Text string `yaml:"text,omitempty" json:"text,omitempty"`

	API         API         `yaml:"api" json:"api"`
	SDK         SDK         `yaml:"sdk" json:"sdk"`
	Document    Document    `yaml:"document" json:"document"`
	Auth        []Auth      `yaml:"auth" json:"auth"`
	Limits      Limits      `yaml:"limits" json:"limits"`
	Errors      Errors      `yaml:"errors" json:"errors"`
	Idempotency Idempotency `yaml:"idempotency" json:"idempotency"`
	Pagination  Pagination  `yaml:"pagination" json:"pagination"`
	Webhooks    *Webhooks   `yaml:"webhooks,omitempty" json:"webhooks,omitempty"` // nil: the provider sends none
	Sandbox     Sandbox     `yaml:"sandbox" json:"sandbox"`
	Service     Service     `yaml:"service" json:"service"`
}

// API is the shape of the provider's HTTP API.
type API struct {
	Provenance `yaml:",inline"`
	BaseURL    string            `yaml:"base_url" json:"base_url"`                         // https://api.stripe.com
	OtherURLs  map[string]string `yaml:"other_urls,omitempty" json:"other_urls,omitempty"` // name → URL
	Version    string            `yaml:"version,omitempty" json:"version,omitempty"`       // newest version known; empty when the API has none
	VersionPin *VersionPin       `yaml:"version_pin,omitempty" json:"version_pin,omitempty"`
	Headers    map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"` // sent on every request; a value the provider requires
	// Variables describes each {name} in the addresses of the profile.
	Variables map[string]Variable `yaml:"variables,omitempty" json:"variables,omitempty"`
	// Style of the API: rest (empty), graphql, rpc, odata.
	Style    string   `yaml:"style,omitempty" json:"style,omitempty"`
	Request  Encoding `yaml:"request" json:"request"`                 // how bodies are sent: form or json
	Response Encoding `yaml:"response" json:"response"`               // how answers come: json
	Hosts    []string `yaml:"hosts,omitempty" json:"hosts,omitempty"` // further hosts the API may redirect to
}

// VersionPin is how a request asks for one API version.
type VersionPin struct {
	In   string `yaml:"in" json:"in" jsonschema:"enum=header,enum=path,enum=query,enum=accept,enum=content_type"`
	Name string `yaml:"name" json:"name"` // header or parameter name; Stripe-Version
}

// Encoding of a body.
type Encoding string

// The encodings there are. Form is x-www-form-urlencoded with bracketed
// nesting: metadata[tenant_id]=1, items[0][price]=p.
const (
	EncodingJSON Encoding = "json"
	EncodingForm Encoding = "form"
)

// SDK names the provider's libraries (R0.2).
type SDK struct {
	Provenance `yaml:",inline"`
	Go         string `yaml:"go,omitempty" json:"go,omitempty"`
	GoOfficial bool   `yaml:"go_official,omitempty" json:"go_official,omitempty"`
	NPM        string `yaml:"npm,omitempty" json:"npm,omitempty"`
}

// Document is the provider's machine-readable API document.
type Document struct {
	Provenance `yaml:",inline"`
	Repository string `yaml:"repository,omitempty" json:"repository,omitempty"`
	Path       string `yaml:"path,omitempty" json:"path,omitempty"`
	Format     string `yaml:"format,omitempty" json:"format,omitempty"` // openapi 3.0.0, swagger 2.0, …
	Licence    string `yaml:"licence,omitempty" json:"licence,omitempty"`
	// Embedded is the file under catalog/documents when the binary carries a
	// copy; empty otherwise.
	Embedded string `yaml:"embedded,omitempty" json:"embedded,omitempty"`
	// Fixtures is the file of sample objects that belongs to Embedded; empty
	// when the provider publishes none.
	Fixtures string `yaml:"fixtures,omitempty" json:"fixtures,omitempty"`
	// Version of the API that Embedded describes; it may be older than
	// API.Version.
	Version string `yaml:"version,omitempty" json:"version,omitempty"`
}

// Limits are the provider's rate limits and how it tells about them.
type Limits struct {
	Provenance `yaml:",inline"`
	List       []Limit       `yaml:"list" json:"list"`
	Status     []int         `yaml:"status" json:"status"`                               // statuses that may mean "too many": 429, at GitHub also 403
	RetryAfter string        `yaml:"retry_after,omitempty" json:"retry_after,omitempty"` // seconds | http_date | absent; empty is unknown
	Headers    *LimitHeaders `yaml:"headers,omitempty" json:"headers,omitempty"`
	// Signals tell what is left where Headers can't: several windows or
	// dimensions, pairs and lists in one value, JSON, bodies.
	Signals []LimitSignal `yaml:"signals,omitempty" json:"signals,omitempty"`
	// Unpublished are limits that exist and whose number is not known, in words.
	Unpublished []string `yaml:"unpublished,omitempty" json:"unpublished,omitempty"`
	// Cost says how calls are weighed where one call is not one unit, in words.
	Cost string `yaml:"cost,omitempty" json:"cost,omitempty"`
	// Algorithm of the provider's limiter, in words: leaky bucket.
	Algorithm string `yaml:"algorithm,omitempty" json:"algorithm,omitempty"`
	// Extra are further headers that tell about limits, each with its meaning.
	Extra map[string]string `yaml:"extra,omitempty" json:"extra,omitempty"`
	// Signal tells a limit from another error where the status does not (GitHub's 403, Slack's 200).
	Signal *BodySignal `yaml:"signal,omitempty" json:"signal,omitempty"`
}

// Limit is one window. All limits of a provider hold together.
type Limit struct {
	Name    string `yaml:"name" json:"name"`                           // slug, unique in the profile: live, sandbox, search
	Limit   int    `yaml:"limit" json:"limit"`                         // how many in a window; more than zero
	Window  int    `yaml:"window_s" json:"window_s"`                   // seconds
	Scope   string `yaml:"scope" json:"scope"`                         // account, app, user, ip, endpoint, …, joined by "+"
	Unit    string `yaml:"unit,omitempty" json:"unit,omitempty"`       // requests (default), points, or concurrent: requests in flight, without a window
	Applies string `yaml:"applies,omitempty" json:"applies,omitempty"` // in words: live mode, search endpoints
	// Environments the limit holds in: production or sandbox (every other
	// environment); empty holds in all.
	Environments []string `yaml:"environments,omitempty" json:"environments,omitempty"`
	// Paths the limit is about, as prefixes ("/v1/search"); empty is every path.
	Paths []string `yaml:"paths,omitempty" json:"paths,omitempty"`
	// Optional limits are not enforced unless a plan names them.
	Optional bool `yaml:"optional,omitempty" json:"optional,omitempty"`
	// Methods the limit is about (GET, POST, …); empty is every method.
	Methods []string `yaml:"methods,omitempty" json:"methods,omitempty"`
	// Burst is how many may come at once, at a provider that counts with a
	// bucket smaller than the window: 10 at 100 a minute. 0: the whole window's.
	Burst int `yaml:"burst,omitempty" json:"burst,omitempty"`
	// Costs say how much a request counts where that is not one: the first that
	// fits. They are about limits that are not counted in requests.
	Costs []LimitCost `yaml:"costs,omitempty" json:"costs,omitempty"`
}

// LimitCost is the cost of some requests: at GitHub a read costs 1 point, a
// write 5.
type LimitCost struct {
	Methods []string `yaml:"methods,omitempty" json:"methods,omitempty"` // empty: every method
	Paths   []string `yaml:"paths,omitempty" json:"paths,omitempty"`     // prefixes; empty: every path
	Cost    float64  `yaml:"cost" json:"cost"`                           // 0 or more
}

// LimitHeaders are the response headers that tell what is left.
type LimitHeaders struct {
	Limit     string `yaml:"limit,omitempty" json:"limit,omitempty"`
	Used      string `yaml:"used,omitempty" json:"used,omitempty"`
	Remaining string `yaml:"remaining,omitempty" json:"remaining,omitempty"`
	Reset     string `yaml:"reset,omitempty" json:"reset,omitempty"`
	// ResetFormat: epoch_seconds, seconds, http_date, iso8601, epoch_milliseconds.
	ResetFormat string `yaml:"reset_format,omitempty" json:"reset_format,omitempty"`
}

// LimitSignal is one set of places that tell what is left of a limit.
//
// A place is a header's name, or with Body a body path (see Errors). After a
// header's name, words lead into its value: the key of "limit=100, reset=4", the
// number, from 1, of a part of "18/5000" or "200,2000", and a body path where the
// value is JSON. So "Sforce-Limit-Info api-usage 2" is 5000 in
// "api-usage=18/5000; per-app-api-usage=17/250".
type LimitSignal struct {
	// For names a limit of List. Empty: the one whose number is told.
	For       string `yaml:"for,omitempty" json:"for,omitempty"`
	Limit     string `yaml:"limit,omitempty" json:"limit,omitempty"`
	Used      string `yaml:"used,omitempty" json:"used,omitempty"`
	Remaining string `yaml:"remaining,omitempty" json:"remaining,omitempty"`
	// Percent says that Used is in percent of the limit: Meta's X-App-Usage.
	Percent bool `yaml:"percent,omitempty" json:"percent,omitempty"`
	// Near is a place that says "true" when less than a fifth is left.
	Near  string `yaml:"near,omitempty" json:"near,omitempty"`
	Reset string `yaml:"reset,omitempty" json:"reset,omitempty"`
	// ResetFormat: seconds, minutes, milliseconds, duration (6m0s), epoch_seconds,
	// epoch_milliseconds, http_date, iso8601. Empty: told by its looks.
	ResetFormat string `yaml:"reset_format,omitempty" json:"reset_format,omitempty"`
	// Window is the length of the window, in seconds or, with
	// WindowFormat milliseconds, in these.
	Window       string `yaml:"window,omitempty" json:"window,omitempty"`
	WindowFormat string `yaml:"window_format,omitempty" json:"window_format,omitempty"`
	// Body says that the places are in the answer's body.
	Body bool `yaml:"body,omitempty" json:"body,omitempty"`
}

// BodySignal recognises an answer by a value in its body. Exactly one of
// Values, Contains, Except and Exists says what the value must be. A path that
// yields a list (messages.#.status) is recognised by any of its elements.
type BodySignal struct {
	Path     string   `yaml:"path" json:"path"`                             // body path, see Errors: error.code
	Values   []string `yaml:"values,omitempty" json:"values,omitempty"`     // equal to one of these
	Contains string   `yaml:"contains,omitempty" json:"contains,omitempty"` // containing this
	Except   []string `yaml:"except,omitempty" json:"except,omitempty"`     // there, and none of these: TikTok's error.code other than "ok"
	Exists   bool     `yaml:"exists,omitempty" json:"exists,omitempty"`     // there, and neither null, false, "", [] nor {}: GraphQL's errors
	// Unless is a body path; where it holds something (as for Exists), this is
	// no signal: GraphQL answers that hold data beside their errors.
	Unless string `yaml:"unless,omitempty" json:"unless,omitempty"`
	// Or are further signals; any of them is enough. They have no Or themselves.
	Or []BodySignal `yaml:"or,omitempty" json:"or,omitempty"`
}

// Errors is the provider's error dialect (R4.9).
//
// A body path is a gjson path in a JSON body (errors.0.code; a key with a dot is
// written error.\.tag), the field's name in a form body, and the names of the
// elements joined by dots in an XML body (Error.Code; an attribute is the last
// name: Error.code). Which it is, the body tells.
type Errors struct {
	Provenance      `yaml:",inline"`
	CodePath        string   `yaml:"code_path,omitempty" json:"code_path,omitempty"`           // body path
	CodeAlso        []string `yaml:"code_also,omitempty" json:"code_also,omitempty"`           // body paths tried in order where CodePath has nothing
	CodeHeader      string   `yaml:"code_header,omitempty" json:"code_header,omitempty"`       // tried last: X-Mashery-Error-Code
	MessagePath     string   `yaml:"message_path,omitempty" json:"message_path,omitempty"`     // body path
	MessageAlso     []string `yaml:"message_also,omitempty" json:"message_also,omitempty"`     // body paths tried in order where MessagePath has nothing
	MessageHeader   string   `yaml:"message_header,omitempty" json:"message_header,omitempty"` // tried last: X-BambooHR-Error-Message
	RequestIDHeader string   `yaml:"request_id_header,omitempty" json:"request_id_header,omitempty"`
	RequestIDAlso   []string `yaml:"request_id_also,omitempty" json:"request_id_also,omitempty"` // headers tried in order where RequestIDHeader is not there
	RequestIDPath   string   `yaml:"request_id_path,omitempty" json:"request_id_path,omitempty"` // body path, used where no header has it
	// Waits are where the provider says how long to wait, other than in
	// Retry-After and in the headers of Limits; the longest one counts.
	Waits []WaitRule `yaml:"waits,omitempty" json:"waits,omitempty"`
	// LimitWait is how long a limit lasts at a provider that does not tell, in
	// seconds: 30 at Airtable. Used only where nothing else names a wait; 0 is
	// not known.
	LimitWait int `yaml:"limit_wait_s,omitempty" json:"limit_wait_s,omitempty"`
	// ForbiddenAs404 says that the provider answers 404 also for what the
	// credential may not see, so that a 404 does not prove that a thing is gone.
	ForbiddenAs404 bool `yaml:"forbidden_as_404,omitempty" json:"forbidden_as_404,omitempty"`
	// InSuccess recognises an error inside a 2xx answer: Slack's ok:false. The
	// path's value equal to one of Values means the answer is an error.
	InSuccess *BodySignal `yaml:"in_success,omitempty" json:"in_success,omitempty"`
	// Meanings override what a status means: 403 → "limited when signal", in
	// the words of MeaningRule.
	Meanings []MeaningRule `yaml:"meanings,omitempty" json:"meanings,omitempty"`
}

// MeaningRule says what a status, or a provider code in an answer, means where
// it differs from the table R4. The first rule that fits decides.
type MeaningRule struct {
	Status int      `yaml:"status,omitempty" json:"status,omitempty"` // 0: any status
	Codes  []string `yaml:"codes,omitempty" json:"codes,omitempty"`   // provider codes; empty: any
	// Header that must be present, optionally with the value after "=":
	// "Retry-After", "X-RateLimit-Remaining=0".
	Header string `yaml:"header,omitempty" json:"header,omitempty"`
	// Body must be recognised too; nil asks for nothing.
	Body  *BodySignal `yaml:"body,omitempty" json:"body,omitempty"`
	Class string      `yaml:"class" json:"class"` // an integration.Class
}

// WaitRule is a place that says how long to wait. Either Header or Path is set,
// or both: then the header's value is JSON and Path leads into it.
type WaitRule struct {
	Header string `yaml:"header,omitempty" json:"header,omitempty"` // X-Retry-After
	Path   string `yaml:"path,omitempty" json:"path,omitempty"`     // body path: parameters.retry_after
	// Key picks one part of a value such as "limit=100; reset=4": reset.
	Key string `yaml:"key,omitempty" json:"key,omitempty"`
	// After is the text in front of the wait where it stands in a sentence:
	// "Retry after ". What follows up to the next space or comma is read.
	After string `yaml:"after,omitempty" json:"after,omitempty"`
	// Unit: seconds (also with decimals), milliseconds, minutes, duration
	// (6m0s), or a time: epoch_seconds, epoch_milliseconds, http_date, iso8601.
	Unit string `yaml:"unit" json:"unit"`
}

// Idempotency is how the provider makes a POST safe to repeat.
type Idempotency struct {
	Provenance `yaml:",inline"`
	Header     string `yaml:"header,omitempty" json:"header,omitempty"` // empty: the provider offers none
	// Param is the parameter that carries the key where no header does:
	// body.idempotency_key, query.idempotencyKey.
	Param     string   `yaml:"param,omitempty" json:"param,omitempty"`
	Methods   []string `yaml:"methods,omitempty" json:"methods,omitempty"`
	KeepHours int      `yaml:"keep_hours,omitempty" json:"keep_hours,omitempty"`
	MaxLength int      `yaml:"max_length,omitempty" json:"max_length,omitempty"`
}

// Pagination is how lists continue. Style, Params, Next and MaxPage tell people;
// the fields after them let package paginate go through a list. Body paths are
// as in Errors.
type Pagination struct {
	Provenance `yaml:",inline"`
	Style      string   `yaml:"style,omitempty" json:"style,omitempty"` // cursor_by_id, cursor, link_header, next_url, page, offset
	Params     []string `yaml:"params,omitempty" json:"params,omitempty"`
	Next       string   `yaml:"next,omitempty" json:"next,omitempty"` // where the next page is told, in words
	// DefaultPage is how many items a page has when nobody says.
	DefaultPage int `yaml:"default_page,omitempty" json:"default_page,omitempty"`
	MaxPage     int `yaml:"max_page,omitempty" json:"max_page,omitempty"`
	// Param is the request parameter that asks for a page: starting_after, cursor,
	// page, offset. Not used by link_header and next_url.
	Param string `yaml:"param,omitempty" json:"param,omitempty"`
	// Items is the body path of the list; empty: the answer is the list, or the
	// only list among its members.
	Items string `yaml:"items,omitempty" json:"items,omitempty"`
	// Cursor is the body path of the next cursor (cursor) or URL (next_url).
	Cursor string `yaml:"cursor,omitempty" json:"cursor,omitempty"`
	// More is the body path of a boolean that is false on the last page.
	More string `yaml:"more,omitempty" json:"more,omitempty"`
	// Total is the body path of how many items (offset) or pages (page) there are.
	Total string `yaml:"total,omitempty" json:"total,omitempty"`
	// First is the number of the first page (page): 1 when not set, 0 at some.
	First *int `yaml:"first,omitempty" json:"first,omitempty"`
}

// Sandbox is the provider's own test environment.
type Sandbox struct {
	Provenance `yaml:",inline"`
	Kind       string `yaml:"kind" json:"kind"` // key_prefix, host, workspace, account, flag, test_data, local, none; empty is not known
	BaseURL    string `yaml:"base_url,omitempty" json:"base_url,omitempty"`
}

// Service holds the facts about the provider as a supplier.
type Service struct {
	Provenance `yaml:",inline"`
	StatusPage string `yaml:"status_page,omitempty" json:"status_page,omitempty"`
	SLA        string `yaml:"sla,omitempty" json:"sla,omitempty"`
	Pricing    string `yaml:"pricing,omitempty" json:"pricing,omitempty"`
}

// Webhooks is how the provider delivers events.
type Webhooks struct {
	Provenance `yaml:",inline"`
	Verify     Verification    `yaml:"verify" json:"verify"`
	Variants   []VerifyVariant `yaml:"variants,omitempty" json:"variants,omitempty"`
	ID         []string        `yaml:"id" json:"id"` // extract paths, the first that yields a value
	// Composite are the paths that together tell one event from another at a
	// provider that gives events no id; where one of ID yields a value, that decides.
	Composite []string `yaml:"composite,omitempty" json:"composite,omitempty"`
	// Batch are the arrays whose elements are events of their own, where one
	// request carries several: json:events[], json:entry[].changes[], json:[] for
	// a body that is an array, form:NAME for a field that holds one. Every other
	// path is read in each of them, as if it had come alone. Empty: one request
	// is one event.
	Batch OneOrMore `yaml:"batch,omitempty" json:"batch,omitempty"`
	// Indistinct says that the same bytes may come again and be news: a ping
	// that only says that something changed, an alert with a fixed text. Where no
	// id is found each request is then an event of its own, so that none is
	// lost; a repeat is delivered twice.
	Indistinct bool `yaml:"indistinct,omitempty" json:"indistinct,omitempty"`
	// Gaps says why an id or a type can't be read out of the events, where ID,
	// Composite and Type are not enough: the body is XML, or a ping without both.
	Gaps       string   `yaml:"gaps,omitempty" json:"gaps,omitempty"`
	Type       []string `yaml:"type" json:"type"`                                   // extract paths, the first that yields a value
	Time       string   `yaml:"time,omitempty" json:"time,omitempty"`               // extract path
	TimeFormat string   `yaml:"time_format,omitempty" json:"time_format,omitempty"` // unix_s | unix_ms | rfc3339
	// Account are the extract paths of the provider's account id, the first that
	// yields a value.
	Account OneOrMore `yaml:"account,omitempty" json:"account,omitempty"`
	// AccountOf is what tells that account when a tenant connects: token:NAME, a
	// member of the token answer, or text with the {variables} of the API. Empty:
	// it is not known how the two hang together.
	AccountOf string        `yaml:"account_of,omitempty" json:"account_of,omitempty"`
	Data      string        `yaml:"data,omitempty" json:"data,omitempty"` // json path of the resource in the payload: data.object
	Answer    WebhookAnswer `yaml:"answer" json:"answer"`
	Retries   string        `yaml:"retries,omitempty" json:"retries,omitempty"` // the provider's schedule, in words
	Replay    string        `yaml:"replay,omitempty" json:"replay,omitempty"`   // its replay or list API, in words
	Challenge string        `yaml:"challenge,omitempty" json:"challenge,omitempty"`
	// Handshakes are the challenge as data: the first whose When fits is answered.
	Handshakes []Handshake `yaml:"handshakes,omitempty" json:"handshakes,omitempty"`
	// List is how events that were sent can be read again; nil: it is not known.
	List *EventList `yaml:"list,omitempty" json:"list,omitempty"`
	// Subscription is how one is subscribed over the API; nil: it is not known.
	Subscription *Subscription `yaml:"subscription,omitempty" json:"subscription,omitempty"`
}

// WebhookAnswer is the answer the provider expects.
type WebhookAnswer struct {
	Status    string `yaml:"status" json:"status"`                             // 2xx, 200
	DeadlineS int    `yaml:"deadline_s,omitempty" json:"deadline_s,omitempty"` // 0: not documented
	// Success is the status that is answered to an event that is kept; 0 is 200.
	Success int `yaml:"success,omitempty" json:"success,omitempty"`
	// Refused is the status that is answered to a wrong signature; 0 is 401. 498 at GoCardless.
	Refused int `yaml:"refused,omitempty" json:"refused,omitempty"`
	// Body and Type are what must be answered to an event that is kept: Adyen's
	// [accepted], Salesforce's acknowledgement. Empty: no body.
	Body string `yaml:"body,omitempty" json:"body,omitempty"`
	Type string `yaml:"type,omitempty" json:"type,omitempty"`
}

// VerifyVariant is a second scheme of the same provider.
type VerifyVariant struct {
	Name   string       `yaml:"name" json:"name"`
	When   string       `yaml:"when,omitempty" json:"when,omitempty"` // in words
	Verify Verification `yaml:"verify" json:"verify"`
}

// Verification is a webhook signature scheme as data. Package verify gives the
// fields their meaning and its package comment documents the language.
type Verification struct {
	// Scheme: hmac, hash_concat, ed25519, ecdsa, rsa, jwt, shared_token,
	// basic_auth, mtls, http_message_signatures, api_callback.
	Scheme string `yaml:"scheme" json:"scheme"`
	// Header is a header's name, several of them, or a json:/form:/query: path;
	// "body" for a JWT that is the whole body.
	Header          OneOrMore `yaml:"header" json:"header"`
	TimestampHeader string    `yaml:"timestamp_header,omitempty" json:"timestamp_header,omitempty"`
	// Algorithm; several that a JWT may use are separated by spaces.
	Algorithm     string          `yaml:"algorithm" json:"algorithm"`
	Encoding      string          `yaml:"encoding" json:"encoding"`
	SignedContent string          `yaml:"signed_content" json:"signed_content"`
	KeyEncoding   string          `yaml:"key_encoding" json:"key_encoding"`
	Format        string          `yaml:"format,omitempty" json:"format,omitempty"`
	TimestampUnit string          `yaml:"timestamp_unit,omitempty" json:"timestamp_unit,omitempty"`
	Parse         *SignatureParse `yaml:"parse,omitempty" json:"parse,omitempty"`
	ToleranceS    int             `yaml:"tolerance_s,omitempty" json:"tolerance_s,omitempty"` // 0: the provider names none
	Rotation      string          `yaml:"rotation,omitempty" json:"rotation,omitempty"`
	// Claims of a JWT that must have one of the values.
	Claims map[string]OneOrMore `yaml:"claims,omitempty" json:"claims,omitempty"`
	// Require are extract paths that must have one of the values, or the scheme
	// does not apply: header:PAYPAL-AUTH-ALGO: SHA256withRSA.
	Require map[string]OneOrMore `yaml:"require,omitempty" json:"require,omitempty"`
	// Keys is where the public keys are fetched; nil: the secret is the key.
	Keys *KeySource `yaml:"keys,omitempty" json:"keys,omitempty"`
}

// SignatureParse says how candidates are read out of the signature header.
type SignatureParse struct {
	Prefix     string   `yaml:"prefix,omitempty" json:"prefix,omitempty"`
	ListSep    string   `yaml:"list_sep,omitempty" json:"list_sep,omitempty"`
	ItemPrefix string   `yaml:"item_prefix,omitempty" json:"item_prefix,omitempty"`
	KVSep      string   `yaml:"kv_sep,omitempty" json:"kv_sep,omitempty"`
	PairSep    string   `yaml:"pair_sep,omitempty" json:"pair_sep,omitempty"`
	SigKeys    []string `yaml:"sig_keys,omitempty" json:"sig_keys,omitempty"`
	TSKey      string   `yaml:"ts_key,omitempty" json:"ts_key,omitempty"`
	GroupSep   string   `yaml:"group_sep,omitempty" json:"group_sep,omitempty"`
	Positional string   `yaml:"positional,omitempty" json:"positional,omitempty"`
}

// Tolerance is the replay window; zero when the provider names none.
func (v Verification) Tolerance() time.Duration { return time.Duration(v.ToleranceS) * time.Second }

package plan

import "github.com/sallyport/sallyport/catalog"

// Effect says what repeating a call would do; it decides what may be retried.
type Effect string

// The four effects (R4.7).
const (
	EffectRead         Effect = "read"         // changes nothing; may be retried
	EffectUpdate       Effect = "update"       // same result when repeated; may be retried
	EffectCreate       Effect = "create"       // makes another one when repeated; only with an idempotency key
	EffectIrreversible Effect = "irreversible" // never retried by machine once it may have been received
)

// Endpoint is one operation of the provider that the plan uses.
type Endpoint struct {
	// Method and path, variables in braces: GET /v1/customers/{id}.
	Call string `yaml:"call" json:"call" jsonschema:"required,pattern=^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /[^ ?#]*$" want:"METHOD /path, such as POST /v1/customers"`
	// What your product calls it for.
	Purpose string `yaml:"purpose" json:"purpose" jsonschema:"required,minLength=1"`
	// Why it was picked, when the planner picked it.
	Why string `yaml:"why,omitempty" json:"why,omitempty"`
	// What repeating it would do, which decides what may be retried: read
	// changes nothing, update ends in the same state, create makes another one
	// (retried only with an idempotency key), irreversible is never repeated
	// by machine once the provider may have received it.
	Effect Effect `yaml:"effect" json:"effect" jsonschema:"required,enum=read,enum=update,enum=create,enum=irreversible"`
	// Key that makes a repeat harmless.
	Idempotency *Idempotency `yaml:"idempotency,omitempty" json:"idempotency,omitempty"`
	// Mapping of the request body; without one it is sent as it is.
	Send string `yaml:"send,omitempty" json:"send,omitempty"`
	// Mapping of the answer; without one it is handed back as it is.
	Receive string `yaml:"receive,omitempty" json:"receive,omitempty"`
	// Encoding of the request body; the profile's when empty.
	Encoding catalog.Encoding `yaml:"encoding,omitempty" json:"encoding,omitempty" jsonschema:"enum=json,enum=form"`
	// How long one attempt may take.
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty" jsonschema:"default=30s"`
	// What a caller gets while the provider can't be reached: queue keeps the
	// call, cached is the last answer, default a fixed one, fail an error.
	Fallback string `yaml:"fallback,omitempty" json:"fallback,omitempty" jsonschema:"enum=queue,enum=cached,enum=default,enum=fail"`
	// How long an answer may be served again; only where effect is read. It
	// stands above what the provider's Cache-Control says. Identical reads in
	// flight then share one request.
	Cache Duration `yaml:"cache,omitempty" json:"cache,omitempty"`
	// The answer of "fallback: default": JSON text in the provider's shape.
	Default string `yaml:"default,omitempty" json:"default,omitempty"`
	// What an answer 409 or 412 leads to.
	OnConflict *OnConflict `yaml:"on_conflict,omitempty" json:"on_conflict,omitempty"`
	// How it is found out what became of a call that got no answer.
	OnUnknown *OnUnknown `yaml:"on_unknown,omitempty" json:"on_unknown,omitempty"`
	// How calls of this endpoint are collected into one of another.
	Bulk *Bulk `yaml:"bulk,omitempty" json:"bulk,omitempty"`
	// When a call is written down: before it is sent, so that it is not lost sight
	// of when the process dies meanwhile, or after. Before is the default for
	// what is irreversible and for creates without an idempotency key; it costs
	// each call a commit.
	Record string `yaml:"record,omitempty" json:"record,omitempty" jsonschema:"enum=before,enum=after"`
	// Calls waiting in the queue run in order of priority, higher first.
	Priority int `yaml:"priority,omitempty" json:"priority,omitempty" jsonschema:"default=0"`
	// Units one call takes of limits that are counted in something else than
	// requests: points, credits, tokens.
	Cost int `yaml:"cost,omitempty" json:"cost,omitempty" jsonschema:"default=1"`
}

// RecordedBefore reports whether a call is written down before it is sent.
func (e *Endpoint) RecordedBefore() bool {
	if e.Record != "" {
		return e.Record == "before"
	}
	return e.Effect == EffectIrreversible || e.Effect == EffectCreate && e.Idempotency == nil
}

// Idempotency declares the key that makes a repeat harmless.
type Idempotency struct {
	// Request header that carries the key. One key is kept over all attempts.
	Header string `yaml:"header" json:"header" jsonschema:"required,pattern=^[A-Za-z0-9!#$%&'*+.^_|~-]+$" want:"the name of a request header, such as Idempotency-Key"`
	// How long the provider remembers it.
	Keep Duration `yaml:"keep,omitempty" json:"keep,omitempty"`
}

// Bulk collects calls of an endpoint into one request that makes many (R4.15).
// Callers who wait for one another at most so long share it, and each gets its
// own part of the answer.
type Bulk struct {
	// Endpoint that takes many at once.
	Call string `yaml:"call" json:"call" jsonschema:"required"`
	// Where in its request body the list of single bodies goes; dotted path, or
	// empty when the body is the list.
	Items string `yaml:"items,omitempty" json:"items,omitempty"`
	// Where in its answer the list of single answers stands; dotted path, or
	// empty when the answer is the list.
	Answers string `yaml:"answers,omitempty" json:"answers,omitempty"`
	// Field that an item and its answer have in common, as dotted path; when
	// empty they stand in the same order.
	Match string `yaml:"match,omitempty" json:"match,omitempty"`
	// Field of an answer that is only there when its item failed.
	Error string `yaml:"error,omitempty" json:"error,omitempty"`
	// How many are collected at most.
	Max int `yaml:"max,omitempty" json:"max,omitempty" jsonschema:"default=100"`
	// How long the first one waits for others.
	Wait Duration `yaml:"wait,omitempty" json:"wait,omitempty" jsonschema:"default=20ms"`
}

// MappingRow is one line of a mapping table (R3.1, R3.2).
type MappingRow struct {
	// Dotted path at the provider; "lines.data[*]" is every element of a list,
	// "\." a dot inside a name.
	External string `yaml:"external" json:"external" jsonschema:"required,minLength=1"`
	// Type at the provider; unix is a time in whole seconds since 1970.
	Type string `yaml:"type,omitempty" json:"type,omitempty" jsonschema:"enum=string,enum=integer,enum=number,enum=boolean,enum=unix,enum=object,enum=array"`
	// Dotted path on your side; "lines[*]" where external has one.
	Internal string `yaml:"internal" json:"internal" jsonschema:"required,minLength=1"`
	// Type on your side: string, integer, decimal, boolean, datetime, enum,
	// uuid or json; or the name of another mapping, for an object or for the
	// elements of a list.
	As string `yaml:"as" json:"as" jsonschema:"required,minLength=1"`
	// How the value is converted. money(FIELD) turns whole minor units into an
	// exact decimal; FIELD is the provider's field beside it that holds the
	// currency. Where the provider counts a currency otherwise than ISO 4217,
	// its digits follow: money(currency, ISK=2, UGX=2).
	Transform string `yaml:"transform,omitempty" json:"transform,omitempty" jsonschema:"pattern=^money\\( *[^ \\x2c()]+ *(\\x2c *[A-Z]{3}\\x3d[0-4] *)*\\)$" want:"money(FIELD), where FIELD is the provider's currency field beside this one"`
	// Which way the row is used: in is from the provider, out to it.
	Direction string `yaml:"direction,omitempty" json:"direction,omitempty" jsonschema:"enum=both,enum=in,enum=out,default=both"`
	// The provider's value to yours, for each value of an enum; "as: enum"
	// needs it.
	Values map[string]string `yaml:"values,omitempty" json:"values,omitempty"`
	// What to do with a value that values does not name: fail, keep it as it
	// came, "null", or value:X for a fixed X.
	Unknown string `yaml:"unknown,omitempty" json:"unknown,omitempty" jsonschema:"pattern=^(fail|keep|null|value:.*)$,default=fail" want:"fail, keep, \"null\" in quotes, or value:X"`
	// What to do when the field is not there: omit it, "null", fail, or
	// value:X for a fixed X.
	Missing string `yaml:"missing,omitempty" json:"missing,omitempty" jsonschema:"pattern=^(omit|null|fail|value:.*)$,default=omit" want:"omit, \"null\" in quotes, fail, or value:X"`
	// What to do when the field is there and holds null: "null", omit or fail.
	Null string `yaml:"null,omitempty" json:"null,omitempty" jsonschema:"enum=null,enum=omit,enum=fail,default=null"`
	// Kind of personal or secret data the field holds.
	Class string `yaml:"class,omitempty" json:"class,omitempty" jsonschema:"enum=pii,enum=secret"`
}

// ErrorPolicy is what follows one kind of answer (R4).
type ErrorPolicy struct {
	// How often to try again: never, or 1 to 20. What an endpoint's effect
	// forbids is not retried whatever stands here.
	Retry RetryCount `yaml:"retry" json:"retry" jsonschema:"required"`
	// Waits before each retry; the last one repeats.
	Backoff []Duration `yaml:"backoff,omitempty" json:"backoff,omitempty"`
	// What happens when the retries are used up: fail, or keep the call for a
	// person to retry.
	Then string `yaml:"then,omitempty" json:"then,omitempty" jsonschema:"enum=fail,enum=keep,default=fail"`
	// Whether someone is told at once.
	Alert bool `yaml:"alert,omitempty" json:"alert,omitempty"`
	// Destination that is told by an event resource.missing, so that your own
	// copy can be dropped (R4.4); only for 404 and 410.
	Tell string `yaml:"tell,omitempty" json:"tell,omitempty"`
	// What the person using your product reads.
	Message string `yaml:"message,omitempty" json:"message,omitempty"`
}

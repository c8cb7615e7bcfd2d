package plan

import (
	"github.com/sallyport/sallyport/catalog"
)

// Version is the plan format this build reads and writes; the value of the
// top-level key "sallyport".
const Version = 1

// Plan is one plan file: how your product works with one third party. Every
// field's comment is its manual; the plan reference is generated from them.
type Plan struct {
	// Sallyport is the version of the format; 1.
	Sallyport int `yaml:"sallyport" json:"sallyport" jsonschema:"required,enum=1"`
	// Service is the integration's slug: lower-case letters, digits, "-" and
	// "_". It names URLs, logs and the provider column.
	Service string `yaml:"service" json:"service" jsonschema:"required,pattern=^[a-z][a-z0-9_-]*$"`
	// Uses is the catalog profile the plan stands on. What stands in the plan
	// overrides it.
	Uses string `yaml:"uses" json:"uses" jsonschema:"required"`
	// Need is the requirement, in a sentence.
	Need string `yaml:"need" json:"need" jsonschema:"required"`
	// Decision is build, use an SDK, or buy, and why (R0.2).
	Decision *Decision `yaml:"decision,omitempty" json:"decision,omitempty"`
	// Profile holds what differs from the catalog, or was confirmed by a person.
	Profile ProfileOverlay `yaml:"profile,omitempty" json:"profile,omitempty"`
	// Environments by name: development, staging, production. Each has its own
	// secrets; they can't mix (R2.11).
	Environments map[string]Environment `yaml:"environments" json:"environments" jsonschema:"required"`
	// Auth is which of the profile's kinds of credential is used.
	Auth Auth `yaml:"auth" json:"auth" jsonschema:"required"`
	// Endpoints are the provider's operations the plan uses, by our name.
	Endpoints map[string]*Endpoint `yaml:"endpoints" json:"endpoints" jsonschema:"required"`
	// Mappings are tables of rows between the provider's fields and ours (R3.1).
	Mappings map[string][]MappingRow `yaml:"mappings,omitempty" json:"mappings,omitempty"`
	// Errors is the policy by HTTP status, or by "5xx", "timeout", "network".
	// What is not named follows the default policy (R4.17).
	Errors map[string]ErrorPolicy `yaml:"errors,omitempty" json:"errors,omitempty"`
	// Limits is how much of the provider's limits is used, and how long to wait.
	Limits Limits `yaml:"limits,omitempty" json:"limits,omitempty"`
	// Webhooks is which events are used and how they are handled.
	Webhooks *Webhooks `yaml:"webhooks,omitempty" json:"webhooks,omitempty"`
	// Destinations are your own endpoints that receive events, by name.
	Destinations map[string]Destination `yaml:"destinations,omitempty" json:"destinations,omitempty"`
	// Monitoring is who hears about trouble.
	Monitoring Monitoring `yaml:"monitoring,omitempty" json:"monitoring,omitempty"`
	// OpenQuestions is what nobody has answered yet; the document shows them first.
	OpenQuestions []Question `yaml:"open_questions,omitempty" json:"open_questions,omitempty"`
	// Considered lists operations that came close and were not picked (R8.2).
	Considered []Considered `yaml:"considered,omitempty" json:"considered,omitempty"`

	// Provider is the catalog profile with the overlay applied. Load sets it;
	// it is never part of the file.
	Provider *catalog.Profile `yaml:"-" json:"-"`
	// File is where the plan was read from; empty when it was not.
	File string `yaml:"-" json:"-"`

	positions map[string]Position // YAML path → place in File
}

// Position is a place in the plan file, both counted from 1.
type Position struct{ Line, Column int }

// Decision records build, sdk or buy.
type Decision struct {
	Choice   string `yaml:"choice" json:"choice" jsonschema:"required,enum=build,enum=sdk,enum=buy"`
	Why      string `yaml:"why" json:"why" jsonschema:"required"`
	Owner    string `yaml:"owner,omitempty" json:"owner,omitempty"`
	ReviewBy string `yaml:"review_by,omitempty" json:"review_by,omitempty"` // YYYY-MM-DD
}

// ProfileOverlay overrides facts of the catalog profile and records who
// confirmed which.
type ProfileOverlay struct {
	Version string `yaml:"version,omitempty" json:"version,omitempty"` // pinned API version
	Spec    *Spec  `yaml:"spec,omitempty" json:"spec,omitempty"`
	BaseURL string `yaml:"base_url,omitempty" json:"base_url,omitempty"`
	// Confirmed by section name of the profile: api, auth, limits, errors,
	// idempotency, pagination, webhooks, sandbox, sdk, service, document.
	Confirmed map[string]Confirmation `yaml:"confirmed,omitempty" json:"confirmed,omitempty"`
}

// Spec pins the provider's API document.
type Spec struct {
	File   string `yaml:"file" json:"file" jsonschema:"required"`   // relative to the plan; "embedded:NAME" is the copy in the binary
	SHA256 string `yaml:"sha256,omitempty" json:"sha256,omitempty"` // of the unpacked bytes, hex
}

// Confirmation is a person vouching for a section of the profile.
type Confirmation struct {
	On     string `yaml:"on" json:"on" jsonschema:"required"` // YYYY-MM-DD
	By     string `yaml:"by" json:"by" jsonschema:"required"`
	Source string `yaml:"source,omitempty" json:"source,omitempty"`
}

// Environment is one stage of your product with its own account at the provider.
type Environment struct {
	BaseURL string `yaml:"base_url,omitempty" json:"base_url,omitempty"` // overrides the profile's; the sandbox in development
	// Secrets by name, each one reference or several valid at once (rotation):
	// env:NAME or file:PATH. vault: and ssm: are part of the format; this
	// version refuses to serve an environment that uses them.
	Secrets map[string]catalog.OneOrMore `yaml:"secrets,omitempty" json:"secrets,omitempty"`
}

// Auth picks a credential kind of the profile.
type Auth struct {
	Use         string   `yaml:"use" json:"use" jsonschema:"required,enum=api_key,enum=oauth2,enum=client_credentials,enum=jwt,enum=basic"`
	RotateEvery Duration `yaml:"rotate_every,omitempty" json:"rotate_every,omitempty"`
}

// Effect says what repeating a call would do; it decides what may be retried.
type Effect string

// The four effects (R4.7, design decision 3).
const (
	EffectRead         Effect = "read"         // changes nothing; may be retried
	EffectUpdate       Effect = "update"       // same result when repeated; may be retried
	EffectCreate       Effect = "create"       // makes another one when repeated; only with an idempotency key
	EffectIrreversible Effect = "irreversible" // never retried by machine once it may have been received
)

// Endpoint is one operation of the provider that the plan uses.
type Endpoint struct {
	Call        string           `yaml:"call" json:"call" jsonschema:"required"` // "POST /v1/customers", path variables in braces
	Purpose     string           `yaml:"purpose" json:"purpose" jsonschema:"required"`
	Why         string           `yaml:"why,omitempty" json:"why,omitempty"` // why it was picked, when a machine picked it
	Effect      Effect           `yaml:"effect" json:"effect" jsonschema:"required,enum=read,enum=update,enum=create,enum=irreversible"`
	Idempotency *Idempotency     `yaml:"idempotency,omitempty" json:"idempotency,omitempty"`
	Send        string           `yaml:"send,omitempty" json:"send,omitempty"`                                          // mapping of the request body; none: as it is
	Receive     string           `yaml:"receive,omitempty" json:"receive,omitempty"`                                    // mapping of the answer; none: as it is
	Encoding    catalog.Encoding `yaml:"encoding,omitempty" json:"encoding,omitempty" jsonschema:"enum=json,enum=form"` // of the request body; the profile's when empty
	Timeout     Duration         `yaml:"timeout,omitempty" json:"timeout,omitempty"`                                    // of one attempt; 30s when empty
	Fallback    string           `yaml:"fallback,omitempty" json:"fallback,omitempty" jsonschema:"enum=queue,enum=cached,enum=default,enum=fail"`
	Cache       Duration         `yaml:"cache,omitempty" json:"cache,omitempty"`
	OnConflict  *OnConflict      `yaml:"on_conflict,omitempty" json:"on_conflict,omitempty"`
}

// Idempotency declares the key that makes a repeat harmless.
type Idempotency struct {
	Header string   `yaml:"header" json:"header" jsonschema:"required"`
	Keep   Duration `yaml:"keep,omitempty" json:"keep,omitempty"` // how long the provider remembers it
}

// OnConflict is what a 409 leads to.
type OnConflict struct {
	Read string `yaml:"read" json:"read" jsonschema:"required"` // endpoint that reads the current state
	Keep string `yaml:"keep" json:"keep" jsonschema:"required,enum=ours,enum=theirs,enum=fail"`
}

// MappingRow is one line of a mapping table (R3.1, R3.2).
type MappingRow struct {
	External  string `yaml:"external" json:"external" jsonschema:"required"` // dotted path at the provider; "lines.data[*]" is every element
	Type      string `yaml:"type,omitempty" json:"type,omitempty" jsonschema:"enum=string,enum=integer,enum=number,enum=boolean,enum=unix,enum=object,enum=array"`
	Internal  string `yaml:"internal" json:"internal" jsonschema:"required"`                                         // dotted path on our side
	As        string `yaml:"as" json:"as" jsonschema:"required"`                                                     // string, integer, decimal, boolean, datetime, enum, uuid, json, or the name of another mapping for "[*]" rows and objects
	Transform string `yaml:"transform,omitempty" json:"transform,omitempty"`                                         // money(CURRENCY_FIELD)
	Direction string `yaml:"direction,omitempty" json:"direction,omitempty" jsonschema:"enum=both,enum=in,enum=out"` // both when empty
	// Values maps the provider's enum values to ours; as: enum needs it.
	Values map[string]string `yaml:"values,omitempty" json:"values,omitempty"`
	// Unknown enum value: fail (default), keep (as it came), null, or
	// "value:X" for a fixed X.
	Unknown string `yaml:"unknown,omitempty" json:"unknown,omitempty"`
	// Missing field: omit (default), null, fail, or "value:X".
	Missing string `yaml:"missing,omitempty" json:"missing,omitempty"`
	// Null in the provider's field: null (default), omit, or fail.
	Null  string `yaml:"null,omitempty" json:"null,omitempty" jsonschema:"enum=null,enum=omit,enum=fail"`
	Class string `yaml:"class,omitempty" json:"class,omitempty" jsonschema:"enum=pii,enum=secret"` // of personal data
}

// ErrorPolicy is what follows one kind of answer.
type ErrorPolicy struct {
	// Retry is how often to try again: a number, or never.
	Retry   RetryCount `yaml:"retry" json:"retry"`
	Backoff []Duration `yaml:"backoff,omitempty" json:"backoff,omitempty"`                            // waits before each retry; the last repeats
	Then    string     `yaml:"then,omitempty" json:"then,omitempty" jsonschema:"enum=fail,enum=keep"` // when retries are used up: fail, or keep the call for a person
	Alert   bool       `yaml:"alert,omitempty" json:"alert,omitempty"`
	Message string     `yaml:"message,omitempty" json:"message,omitempty"` // for the person using the product
}

// Limits is how the provider's limits are used (R4.12, R4.13).
type Limits struct {
	Headroom Percent  `yaml:"headroom,omitempty" json:"headroom,omitempty"` // of each limit of the profile; 80% when empty
	Wait     Duration `yaml:"wait,omitempty" json:"wait,omitempty"`         // how long a caller may wait for its turn; 5s when empty
}

// Webhooks is what is done with the provider's events (R5).
type Webhooks struct {
	Tenant    string                   `yaml:"tenant,omitempty" json:"tenant,omitempty"`     // extract path of the tenant in the request
	OrderBy   string                   `yaml:"order_by,omitempty" json:"order_by,omitempty"` // extract path of the ordering key; becomes the delivery's subject
	Events    map[string]EventHandling `yaml:"events" json:"events" jsonschema:"required"`
	Retention *Retention               `yaml:"retention,omitempty" json:"retention,omitempty"`
	Redact    []string                 `yaml:"redact,omitempty" json:"redact,omitempty"` // payload paths never shown in logs or lists
	Reconcile *Reconcile               `yaml:"reconcile,omitempty" json:"reconcile,omitempty"`
}

// EventHandling is what happens to one event type.
type EventHandling struct {
	From string `yaml:"from,omitempty" json:"from,omitempty"` // json path of the resource in the payload; the whole payload when empty
	Map  string `yaml:"map,omitempty" json:"map,omitempty"`   // mapping; none: as it is
	To   string `yaml:"to,omitempty" json:"to,omitempty"`     // destination; none: a Go handler registered with App.On
}

// Retention is how long things are kept.
type Retention struct {
	Payload Duration `yaml:"payload,omitempty" json:"payload,omitempty"`
	IDs     Duration `yaml:"ids,omitempty" json:"ids,omitempty"`
}

// Reconcile finds events that never came (R5.14).
type Reconcile struct {
	List    string   `yaml:"list" json:"list" jsonschema:"required"` // endpoint that lists events
	Every   Duration `yaml:"every" json:"every" jsonschema:"required"`
	Overlap Duration `yaml:"overlap,omitempty" json:"overlap,omitempty"`
}

// Destination is an endpoint of yours that receives events.
type Destination struct {
	URL     string   `yaml:"url" json:"url" jsonschema:"required"`
	Secret  string   `yaml:"secret" json:"secret" jsonschema:"required"` // reference to the Standard Webhooks signing secret
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"` // 10s when empty
}

// Monitoring is who hears about trouble (R6.4).
type Monitoring struct {
	ExpectCallsEvery Duration `yaml:"expect_calls_every,omitempty" json:"expect_calls_every,omitempty"`
	Notify           []string `yaml:"notify,omitempty" json:"notify,omitempty"`
	Owner            string   `yaml:"owner,omitempty" json:"owner,omitempty"`
	Runbook          string   `yaml:"runbook,omitempty" json:"runbook,omitempty"`
}

// Question is one thing nobody has answered yet.
type Question struct {
	About string `yaml:"about" json:"about" jsonschema:"required"` // row id or profile section
	Ask   string `yaml:"ask" json:"ask" jsonschema:"required"`
	Look  string `yaml:"look,omitempty" json:"look,omitempty"` // where the answer may be found
}

// Considered is an operation that was not picked, and why.
type Considered struct {
	Call   string `yaml:"call" json:"call" jsonschema:"required"`
	WhyNot string `yaml:"why_not" json:"why_not" jsonschema:"required"`
}

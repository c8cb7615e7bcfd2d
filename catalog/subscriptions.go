package catalog

import "strings"

// EventList is how events that were sent can be read again, so that those that
// never came are found. Package reconcile gives the fields their meaning. Paths
// into an item are written as keys joined with dots: request.headers.
type EventList struct {
	Provenance `yaml:",inline"`
	// Call is the operation: GET /v1/events. Lists are newest first.
	Call string `yaml:"call" json:"call"`
	// Query are parameters that are always sent: {limit: "100"}.
	Query map[string]string `yaml:"query,omitempty" json:"query,omitempty"`
	// ID is where an item names the event as the webhook does.
	ID string `yaml:"id" json:"id"`
	// Type is where an item names the event's type as the webhook does.
	Type       string `yaml:"type" json:"type"`
	Time       string `yaml:"time" json:"time"`               // where an item has the time of the event, or of its delivery
	TimeFormat string `yaml:"time_format" json:"time_format"` // unix_s | unix_ms | rfc3339
	// Subscription is the variable of Call's path that takes the id of our
	// subscription: hook_id. Empty: the list is the whole account's.
	Subscription string `yaml:"subscription,omitempty" json:"subscription,omitempty"`
	// Fetch is how the payload is read; nil: the item is the payload.
	Fetch *EventFetch `yaml:"fetch,omitempty" json:"fetch,omitempty"`
	// Headers are what the webhook would have had, each with its place in the
	// item: {X-GitHub-Event: event}.
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	// KeepDays is how long the provider's list reaches back; 0 is unknown.
	KeepDays int `yaml:"keep_days,omitempty" json:"keep_days,omitempty"`
}

// EventFetch is where one event's payload is read.
type EventFetch struct {
	// Path below the list's own, with places of the item in braces: /{id}.
	Path string `yaml:"path" json:"path"`
	// Payload is where the answer has it: request.payload.
	Payload string `yaml:"payload" json:"payload"`
}

// Subscription is how one is subscribed to a provider's events over its API.
// Package reconcile gives the fields their meaning. Paths into an object are
// written as in EventList. Values that are sent may hold {url}, {events},
// {event}, {secret}, {expires}, {id}, {new_id}, {resource_id} and the path
// variables that the plan gives; a value that is "{events}" alone becomes a list.
type Subscription struct {
	Provenance `yaml:",inline"`
	// ByHand says what a person has to do where there is no such API; nothing else
	// is set then. With Credential it says so for those who do not give that.
	ByHand string `yaml:"by_hand,omitempty" json:"by_hand,omitempty"`
	// Document says that the subscription is a part of a larger document: an app's
	// manifest. It takes the place of List, Create, Update and Delete; URL and
	// Events are places in it.
	Document *SubscriptionDocument `yaml:"document,omitempty" json:"document,omitempty"`
	// Credential is what subscriptions are read and changed with where the API's
	// own credential may not; nil: that one. They are the whole app's then, and not
	// a tenant's.
	Credential *SubscriptionCredential `yaml:"credential,omitempty" json:"credential,omitempty"`

	List   string            `yaml:"list,omitempty" json:"list,omitempty"` // GET /v1/webhook_endpoints; empty: there is none, and our own records have to do
	Items  string            `yaml:"items,omitempty" json:"items,omitempty"`
	Create *SubscriptionCall `yaml:"create,omitempty" json:"create,omitempty"`
	// Update changes the events, turns a subscription on again and, where Expiry
	// is set, renews it. Nil: it is made anew and the old one removed.
	Update *SubscriptionCall `yaml:"update,omitempty" json:"update,omitempty"`
	Delete *SubscriptionCall `yaml:"delete,omitempty" json:"delete,omitempty"`

	// Object is where an answer has the subscription; empty: it is the answer.
	Object string `yaml:"object,omitempty" json:"object,omitempty"`
	ID     string `yaml:"id,omitempty" json:"id,omitempty"`   // where its id stands
	URL    string `yaml:"url,omitempty" json:"url,omitempty"` // where it says where events are sent to
	// Events is where its types stand: a list, or text that Join divides. Empty:
	// it has none, and one is subscribed to all there are.
	Events string `yaml:"events,omitempty" json:"events,omitempty"`
	Join   string `yaml:"join,omitempty" json:"join,omitempty"`
	// Resource is where it says what it is about, where that is {resource}.
	Resource string `yaml:"resource,omitempty" json:"resource,omitempty"`
	// FixedEvents says that Update can't change the events: then it is made anew.
	FixedEvents bool   `yaml:"fixed_events,omitempty" json:"fixed_events,omitempty"`
	All         string `yaml:"all,omitempty" json:"all,omitempty"` // the type that stands for all: *
	// Each says that there is one subscription for each type of event.
	Each bool `yaml:"each,omitempty" json:"each,omitempty"`
	// State is where it says whether it is on, and On the value when it is.
	State string `yaml:"state,omitempty" json:"state,omitempty"`
	On    string `yaml:"on,omitempty" json:"on,omitempty"`
	// Secret is where the answer to Create has the signing secret. Empty: we
	// choose it, and send {secret}, or it is the account's.
	Secret string `yaml:"secret,omitempty" json:"secret,omitempty"`
	// ResourceID is where the answer has what Delete needs beside the id.
	ResourceID string              `yaml:"resource_id,omitempty" json:"resource_id,omitempty"`
	Expiry     *SubscriptionExpiry `yaml:"expiry,omitempty" json:"expiry,omitempty"`
	// Needs are path variables that the plan has to give: owner, repo.
	Needs []string `yaml:"needs,omitempty" json:"needs,omitempty"`
}

// SubscriptionCall is one operation on subscriptions.
type SubscriptionCall struct {
	Call string `yaml:"call" json:"call"` // POST /v1/webhook_endpoints/{id}
	// Body that is sent, with placeholders. Empty: none.
	Body map[string]any `yaml:"body,omitempty" json:"body,omitempty"`
}

// SubscriptionDocument is a document of which a subscription is a part. It is read,
// changed in that part alone, and written back whole.
type SubscriptionDocument struct {
	// Read and Write are the operations; {document} in a body is the document as
	// JSON text.
	Read  *SubscriptionCall `yaml:"read" json:"read"`
	Write *SubscriptionCall `yaml:"write" json:"write"`
	At    string            `yaml:"at" json:"at"` // where the answer to Read has it: manifest
	ID    string            `yaml:"id" json:"id"` // what it is known by, with path variables: "{app_id}"
	// Part is what is taken out of it when nothing of ours is left in there, and
	// nothing else: settings.event_subscriptions.
	Part string `yaml:"part" json:"part"`
	// Also are further lists of types. They are compared and cleared like Events;
	// new types go into Events.
	Also []string `yaml:"also,omitempty" json:"also,omitempty"`
	// Kinds are types that are subscribed to under other names than they come
	// with, each with the scope that it takes: {message: {message.im: im:history}}.
	// One of the names will do; where there is none, those are added that Scopes
	// allow.
	Kinds  map[string]map[string]string `yaml:"kinds,omitempty" json:"kinds,omitempty"`
	Scopes string                       `yaml:"scopes,omitempty" json:"scopes,omitempty"` // list of scopes in the document
	// Unasked are types that come without a subscription; * at the end stands for
	// any rest: "/*".
	Unasked []string `yaml:"unasked,omitempty" json:"unasked,omitempty"`
	// Instead is where it says, with true, that events go another way than to URL.
	Instead string `yaml:"instead,omitempty" json:"instead,omitempty"`
	// Faults is where a refusal of Write says what is wrong with it.
	Faults *SubscriptionFaults `yaml:"faults,omitempty" json:"faults,omitempty"`
}

// SubscriptionFaults is a list of what is wrong with a document.
type SubscriptionFaults struct {
	List    string `yaml:"list" json:"list"`       // in the answer: errors
	Place   string `yaml:"place" json:"place"`     // in an item: pointer
	Message string `yaml:"message" json:"message"` // in an item: message
}

// SubscriptionCredential is a bearer token for subscriptions alone.
type SubscriptionCredential struct {
	// Secret is the name under which an environment's secrets have the token.
	Secret string `yaml:"secret" json:"secret"`
	// New says how a person makes a new one.
	New string `yaml:"new" json:"new"`
	// Renew is how we do; nil: we can't.
	Renew *SubscriptionRenewal `yaml:"renew,omitempty" json:"renew,omitempty"`
}

// SubscriptionRenewal makes a new token of a refresh token, which is used up by
// it and comes anew with the answer. It is sent as a form.
type SubscriptionRenewal struct {
	Secret  string `yaml:"secret" json:"secret"`   // name of the refresh token among the secrets
	Call    string `yaml:"call" json:"call"`       // POST /tooling.tokens.rotate
	Field   string `yaml:"field" json:"field"`     // of the form, for the refresh token
	Token   string `yaml:"token" json:"token"`     // where the answer has the token
	Next    string `yaml:"next" json:"next"`       // where it has the next refresh token
	Expires string `yaml:"expires" json:"expires"` // where it says when the token ends, in Unix seconds
}

// Parts divides "POST /tooling.tokens.rotate" into its method and path.
func (r *SubscriptionRenewal) Parts() (method, path string) { return divide(r.Call) }

// SubscriptionExpiry is when a subscription ends by itself.
type SubscriptionExpiry struct {
	Path     string `yaml:"path" json:"path"`                             // where the object has it
	Format   string `yaml:"format" json:"format"`                         // unix_s | unix_ms | rfc3339
	Seconds  int    `yaml:"seconds" json:"seconds"`                       // how far ahead is asked for
	Optional bool   `yaml:"optional,omitempty" json:"optional,omitempty"` // there may be none
}

// Parts divides "GET /v1/events" into its method and path.
func (e *EventList) Parts() (method, path string) { return divide(e.Call) }

// Parts divides "POST /v1/webhook_endpoints" into its method and path.
func (c *SubscriptionCall) Parts() (method, path string) { return divide(c.Call) }

func divide(call string) (method, path string) {
	method, path, _ = strings.Cut(call, " ")
	return method, path
}

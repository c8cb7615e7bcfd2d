package integration

import "time"

// KeyRotation is the swap of the master key: every data key is sealed anew, and
// every credential under a new data key. It survives the process.
type KeyRotation struct {
	ID          string // ours, a UUIDv7
	Before      string // id of the master key that was primary when it began
	Fresh       string // id of the new one; empty until it is made
	Position    string // data keys up to this id are through
	Keys        int    // data keys that were sealed anew so far
	Credentials int    // credentials that were
	StartedAt   time.Time
	FinishedAt  time.Time // zero while it is under way
}

// SecretSighting says when a secret that a plan refers to was seen, known by
// its fingerprint.
type SecretSighting struct {
	Service     string
	Environment string
	Name        string // of the secret in the plan: api_key, webhook_secret, …
	Fingerprint string // Secret.Fingerprint
	Reference   string // where it was found: env:NAME, file:PATH, …
	FirstSeen   time.Time
	LastSeen    time.Time
}

// CredentialUse counts the calls of one minute that one credential was used for
// (R2.10). It never holds the value.
type CredentialUse struct {
	Minute      time.Time // its beginning, UTC
	Service     string
	Tenant      string
	Connection  string // empty for the plan's own credential
	Fingerprint string // Secret.Fingerprint
	Endpoint    string // the plan's endpoint name; empty for a proxied path it does not name
	Actor       string // who asked: the id of an API key, or "program"
	Count       int    // requests
	Refused     int    // how many of them the provider refused the credential for
}

// Erasure says what was deleted of one tenant (R2.7).
type Erasure struct {
	DataKeys    []string // ids
	Masters     []string // ids of the master keys they were sealed with: of use with a backup only
	Credentials int
	Connections int
	Flows       int
	Events      int
	Deliveries  int
	Calls       int
	Attempts    int
	Uses        int
}

// Add adds what another step deleted.
func (e *Erasure) Add(o Erasure) {
	e.DataKeys = append(e.DataKeys, o.DataKeys...)
	e.Masters = append(e.Masters, o.Masters...)
	e.Credentials += o.Credentials
	e.Connections += o.Connections
	e.Flows += o.Flows
	e.Events += o.Events
	e.Deliveries += o.Deliveries
	e.Calls += o.Calls
	e.Attempts += o.Attempts
	e.Uses += o.Uses
}

// LeakedSecret is a secret that was marked as leaked: it is not used from then
// on, wherever it stands. It never holds the value.
type LeakedSecret struct {
	Fingerprint string // Secret.Fingerprint
	Service     string // whose it was when it was marked
	Environment string
	Name        string // of the secret in the plan, or of the connection's credential
	Connection  string // empty for a plan's own secret
	At          time.Time
	Actor       string // who marked it
}

package integration

import (
	"errors"
	"time"
)

// ErrFenced means that whoever asks does not hold the lease any more, or the record was
// changed since it was read. Nothing was written; read again before trying
// again.
var ErrFenced = errors.New("somebody else was faster")

// ConnectionState is where a connection stands (R2.5).
type ConnectionState string

// The states of a connection.
const (
	ConnectionConnected    ConnectionState = "connected"    // its credential works
	ConnectionExpiring     ConnectionState = "expiring"     // its credential works for now and its renewal has failed so far
	ConnectionNeedsReauth  ConnectionState = "needs_reauth" // only the tenant can mend it, by connecting again
	ConnectionDisconnected ConnectionState = "disconnected" // ended; its credentials are gone
)

// Usable reports whether a call may try the credential.
func (s ConnectionState) Usable() bool {
	return s == ConnectionConnected || s == ConnectionExpiring
}

// ConnectionTask is what a connection is due for.
type ConnectionTask string

// What there is to do for a connection without anybody asking.
const (
	TaskNone      ConnectionTask = ""
	TaskRefresh   ConnectionTask = "refresh"    // its credential expires soon
	TaskKeepAlive ConnectionTask = "keep_alive" // the provider ends credentials that are not used
	TaskRevoke    ConnectionTask = "revoke"     // it is disconnected and the provider has to be told (R2.6)
	TaskCheck     ConnectionTask = "check"      // it is to be seen whether the credential still works, or a person has confirmed a device code
)

// Connection is one tenant's authorised link to one service in one environment.
// It holds no secret: those are its Credentials.
type Connection struct {
	ID          string // ours, a UUIDv7; kept when the tenant connects again
	Tenant      string // your customer
	Service     string // the integration's slug
	Environment string // of the plan
	Kind        string // how calls are authorised: the kind of the profile's auth that is used
	State       ConnectionState
	Reason      string            // why it is in this state, for people; free of secrets
	Account     string            // whose account at the provider: its id or name there; empty when not known
	BaseURL     string            // where the provider said this account's API is; empty: where the plan says
	Variables   map[string]string // parts of addresses, such as the shop's name
	Scopes      []string          // granted by the provider
	CreatedAt   time.Time         // UTC, as all times here
	UpdatedAt   time.Time         // when state, scopes or credentials last changed
	ExpiresAt   time.Time         // when the credential that calls use expires; zero: it does not, or the provider does not say
	RenewBefore time.Time         // when what renews the credential expires; zero: it does not, or the provider does not say
	LastUsedAt  time.Time         // to the minute; zero: never

	// Version counts changes. A change is refused with ErrFenced when it was
	// made from an older version.
	Version int64

	// The connection is a row of a queue as well.

	Task     ConnectionTask // what it is due for
	DueAt    time.Time      // when; zero: it waits for nothing
	Attempts int            // how often a worker began the present task; a change sets it to 0 when the task is done
}

// Credential is one sealed secret of a connection.
type Credential struct {
	Connection  string    // id of the connection
	Field       string    // what it is: access_token, refresh_token, api_key, …; unique in a connection
	Sealed      []byte    // ciphertext, bound to tenant, connection and field
	KeyID       string    // the data key it is sealed with
	Fingerprint string    // Secret.Fingerprint of the value
	CreatedAt   time.Time // when the value came to us
	ExpiresAt   time.Time // zero: it does not expire, or nobody knows
}

// ConnectionChange is what is written about a connection in one transaction:
// all of it or nothing.
type ConnectionChange struct {
	// Connection as it stands from now on. Version is that of the connection it
	// was made from; the store counts on. CreatedAt and LastUsedAt of a
	// connection that is there are left alone.
	Connection Connection
	Put        []Credential // new or in place of those with the same field
	Drop       []string     // fields whose credentials are deleted
	DropAll    bool         // delete all credentials but those of Put
	Audit      *AuditEntry  // written along; nil: none
	Event      *Event       // told to a destination; nil: none. One that is there already is no error
}

// OAuthState is a flow that began and that the tenant has not come back from.
// It is found by the hash of a token that only the tenant's browser has, is
// taken once, and expires.
type OAuthState struct {
	Hash        string            // hex SHA-256 of the token
	Flow        string            // what takes it: oauth, page, device
	Connection  string            // id that the connection has or will have
	Tenant      string            // the connection's
	Service     string            // the connection's
	Environment string            // the connection's
	Browser     string            // hex SHA-256 of the cookie that binds it to a browser; empty: not bound
	Issuer      string            // who must answer (RFC 9207); empty: not checked
	RedirectURI string            // exactly as it was sent
	ReturnURL   string            // where the tenant's browser goes in the end; may be empty
	Variables   map[string]string // parts of addresses, as given
	Scopes      []string          // asked for
	Sealed      []byte            // the PKCE verifier, the nonce or a device code; sealed for field "oauth_state"
	KeyID       string            // the data key of Sealed; empty when there is nothing sealed
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// RefreshLease is the right to refresh the credential of one connection. One
// process has it at a time; what it writes is refused once another has it.
type RefreshLease struct {
	Connection string
	Owner      string    // unique to a running process
	Version    int64     // the fencing token; grows with each new holder
	Until      time.Time // when it ends unless renewed
	// Intent is what the holder before wrote down and never finished: it may
	// have asked the provider and died before the answer was kept. Nil: there
	// is no such thing.
	Intent *RefreshIntent
}

// RefreshIntent says that a provider is about to be asked for a new
// credential. It is written before the request and ends in the transaction that
// keeps the answer, so that a crash between both is known (R2.4).
type RefreshIntent struct {
	Version     int64     // of the lease it was written under
	Fingerprint string    // of the credential that is handed in, which the provider may make invalid
	AskedAt     time.Time // just before the request
}

// ConnectionOutcome is what came of a connection's task. When the connection was
// changed since it was lent, the change has said already when it is due next,
// and only the lease ends.
type ConnectionOutcome struct {
	Task   ConnectionTask // what it is due for next
	DueAt  time.Time      // when; zero: it waits for nothing
	Reason string         // in place of the connection's reason when it is not empty
	// Released says that the worker is shutting down: it is due again at once
	// and the attempt does not count.
	Released bool
}

// TenantKey is a data key that one tenant's credentials are sealed with, itself
// sealed with the master key.
type TenantKey struct {
	ID        string // ours, a UUIDv7; credentials name it
	Tenant    string
	Sealed    []byte    // the key, sealed with the master key
	Master    string    // id of the master key
	CreatedAt time.Time // the youngest one that is not retired seals
	RetiredAt time.Time // zero: in use. Since then it only opens
}

// Package store says what every store offers; package open opens one by its DSN,
// sqlite and postgres are the engines, and storetest is what both are held to.
package store

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// Store keeps all that a gateway must not forget, and is the queue of what waits.
// Its users ask for the little they need through interfaces of their own; this
// one is for those who hand it to them. The engines' methods say what each does.
type Store interface {
	Events
	Calls
	Access
	Connections
	Secrets
	Reconciling
	Doors
	Retaining
	Destinations

	RecordDrift(ctx context.Context, list []integration.Drift) error
	Drift(ctx context.Context, f integration.Filter) (found []integration.Drift, next string, err error)

	Queues

	// Ping says whether the store can write now.
	Ping(ctx context.Context) error
	// Close refuses new work and commits what was handed in before.
	Close() error
}

// Queues lend rows that are due. A process should take each once.
type Queues interface {
	EventQueue() lease.Queue[integration.Event, integration.Outcome]
	CallQueue() CallQueue
	ConnectionQueue() lease.Queue[integration.Connection, integration.ConnectionOutcome]
	CursorQueue() lease.Queue[integration.Cursor, integration.CursorOutcome]
}

// CallQueue lends calls.
type CallQueue = lease.Queue[integration.Call, integration.CallOutcome]

// Events keeps inbound events.
type Events interface {
	Accept(ctx context.Context, e *integration.Event) (fresh bool, err error)
	Events(ctx context.Context, f integration.Filter) (events []integration.Event, next string, err error)
	Event(ctx context.Context, id string) (integration.Event, []integration.Delivery, error)
	RetryEvent(ctx context.Context, id string, now time.Time, audit integration.AuditEntry) error
	EventCounts(ctx context.Context, service, tenant string) (integration.Counts, error)
	CountEventJob(ctx context.Context, f integration.Filter) (total, skipped int, err error)
	EventsAfter(ctx context.Context, f integration.Filter, position int64) (events []integration.Event, next int64, err error)
	EventsSince(ctx context.Context, since time.Time) (position int64, err error)
	LastEvent(ctx context.Context) (position int64, err error)
}

// Calls keeps outbound calls and the jobs about many of them.
type Calls interface {
	Record(ctx context.Context, c *integration.Call) error
	Calls(ctx context.Context, f integration.Filter) (calls []integration.Call, next string, err error)
	Call(ctx context.Context, id string) (integration.Call, error)
	CallCounts(ctx context.Context, service, tenant string) (integration.Counts, error)
	SettleCall(ctx context.Context, id string, state integration.CallState, audit integration.AuditEntry) error
	RequeueCall(ctx context.Context, id string, now, expires time.Time, audit integration.AuditEntry) error
	CancelCall(ctx context.Context, id string, now time.Time, finished *integration.Event, audit integration.AuditEntry) error
	BeginTurn(ctx context.Context, id string, turn int) error
	ForgetAnswers(ctx context.Context, now time.Time, most int) (n int, err error)

	CreateJob(ctx context.Context, j *integration.Job, audit integration.AuditEntry) error
	AdvanceJob(ctx context.Context, id string, now, expires time.Time, most int) (more bool, err error)
	UnfinishedJobs(ctx context.Context) ([]integration.Job, error)
	Job(ctx context.Context, id string) (integration.Job, error)
	CancelJob(ctx context.Context, id string, now time.Time, audit integration.AuditEntry) error
}

// Access keeps API keys and the audit log.
type Access interface {
	CreateKey(ctx context.Context, key integration.APIKey, audit integration.AuditEntry) error
	KeyByHash(ctx context.Context, hash string) (integration.APIKey, error)
	Keys(ctx context.Context) ([]integration.APIKey, error)
	RevokeKey(ctx context.Context, id string, now time.Time, audit integration.AuditEntry) error
	Audit(ctx context.Context, entry integration.AuditEntry) error
	AuditLog(ctx context.Context, f integration.Filter) (entries []integration.AuditEntry, next string, err error)
}

// Connections keeps tenants' connections, their sealed credentials, flows that
// began and who may refresh.
type Connections interface {
	CreateConnection(ctx context.Context, change integration.ConnectionChange) error
	ChangeConnection(ctx context.Context, change integration.ConnectionChange) error
	Connection(ctx context.Context, id string) (integration.Connection, []integration.Credential, error)
	ConnectionsOf(ctx context.Context, service, environment, tenant string) ([]integration.Connection, error)
	Connections(ctx context.Context, f integration.Filter) (found []integration.Connection, next string, err error)
	ConnectionCounts(ctx context.Context, service, environment string) (map[string]int, error)
	TouchConnections(ctx context.Context, used map[string]time.Time) error

	PutOAuthState(ctx context.Context, o integration.OAuthState) error
	OAuthState(ctx context.Context, hash string, now time.Time) (integration.OAuthState, error)
	TakeOAuthState(ctx context.Context, hash string, now time.Time) (integration.OAuthState, error)
	ForgetOAuthStates(ctx context.Context, now time.Time, most int) (n int, err error)

	AcquireRefresh(ctx context.Context, connection, owner string, now, until time.Time) (l integration.RefreshLease, ok bool, err error)
	RenewRefresh(ctx context.Context, l integration.RefreshLease, until time.Time) error
	IntendRefresh(ctx context.Context, l integration.RefreshLease, fingerprint string, now time.Time) error
	CompleteRefresh(ctx context.Context, l integration.RefreshLease, change integration.ConnectionChange) error
	ReleaseRefresh(ctx context.Context, l integration.RefreshLease, settled bool) error
}

// Secrets keeps data keys and what is known about the age, the swapping, the use
// and the erasing of secrets.
type Secrets interface {
	TenantKey(ctx context.Context, id string) (integration.TenantKey, error)
	TenantKeyInUse(ctx context.Context, tenant string) (integration.TenantKey, error)
	PutTenantKey(ctx context.Context, k integration.TenantKey, replaces string) error
	TenantKeys(ctx context.Context, after string, most int) ([]integration.TenantKey, error)
	RewrapTenantKey(ctx context.Context, k integration.TenantKey, from string) error
	ForgetTenantKeys(ctx context.Context, before time.Time) (n int, err error)
	SealedWith(ctx context.Context, key string, most int) ([]integration.Credential, error)
	Reseal(ctx context.Context, list []integration.Credential, from string) (written int, err error)

	StartRotation(ctx context.Context, r integration.KeyRotation, audit integration.AuditEntry) error
	AdvanceRotation(ctx context.Context, r integration.KeyRotation) error
	LastRotation(ctx context.Context) (integration.KeyRotation, error)

	SeeSecrets(ctx context.Context, seen []integration.SecretSighting) error
	SecretSightings(ctx context.Context, service, environment string) ([]integration.SecretSighting, error)
	SightingsOf(ctx context.Context, fingerprint string) ([]integration.SecretSighting, error)
	ConnectionsWith(ctx context.Context, fingerprint string, most int) ([]string, error)
	RecordUses(ctx context.Context, uses []integration.CredentialUse) error
	CredentialUses(ctx context.Context, f integration.Filter) (found []integration.CredentialUse, next string, err error)

	MarkLeaked(ctx context.Context, l integration.LeakedSecret, audit integration.AuditEntry) error
	UnmarkLeaked(ctx context.Context, fingerprint string, audit integration.AuditEntry) error
	LeakedSecrets(ctx context.Context) ([]integration.LeakedSecret, error)

	EraseKeys(ctx context.Context, tenant string, audit integration.AuditEntry) (integration.Erasure, error)
	ErasedSince(ctx context.Context, since time.Time) ([]string, error)
	EraseRecords(ctx context.Context, tenant string, most int) (erased integration.Erasure, more bool, err error)
	// Checkpoint takes what was erased out of the files, as far as the engine can.
	Checkpoint(ctx context.Context) error
}

// Retaining deletes what has had its time, in short steps, and says how large
// everything is.
type Retaining interface {
	EmptyPayloads(ctx context.Context, e integration.Expiry, step integration.Step) (integration.Swept, error)
	DeleteEvents(ctx context.Context, e integration.Expiry, step integration.Step) (integration.Swept, error)
	DeleteCalls(ctx context.Context, service string, before time.Time, step integration.Step) (integration.Swept, error)
	DeleteUses(ctx context.Context, before time.Time, step integration.Step) (integration.Swept, error)
	StoredServices(ctx context.Context) ([]string, error)
	Due(ctx context.Context, e integration.Expiry, calls time.Time, most int) (integration.Due, error)
	TakeHousekeeping(ctx context.Context, owner string, now, until, begins time.Time) (integration.HousekeepingTurn, error)
	// Backlog is how many events wait for their commit in this process.
	Backlog() int
	Sizes(ctx context.Context) (integration.StoreSize, error)
}

// Reconciling keeps where tasks stand that are gone on with from time to time,
// and what we are subscribed to.
type Reconciling interface {
	PutCursors(ctx context.Context, ids []string, due time.Time) error
	Cursor(ctx context.Context, id string) (integration.Cursor, error)
	Cursors(ctx context.Context, prefix string, most int) ([]integration.Cursor, error)
	KnownEvents(ctx context.Context, service, source string, externalIDs []string) (map[string]bool, error)
	PutSubscription(ctx context.Context, s *integration.Subscription) error
	ForgetSubscription(ctx context.Context, service, connection, externalID string) error
	Subscriptions(ctx context.Context, service string) ([]integration.Subscription, error)
	SubscriptionsOf(ctx context.Context, service, connection string) ([]integration.Subscription, error)
	SetSubscribing(ctx context.Context, service string, on bool, now time.Time) error
	Subscribing(ctx context.Context, service string) (bool, error)
}

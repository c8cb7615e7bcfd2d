package storetest

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// Store is all that is asked of a store.
type Store interface {
	Accept(ctx context.Context, e *integration.Event) (fresh bool, err error)
	Events(ctx context.Context, f integration.Filter) (events []integration.Event, next string, err error)
	Event(ctx context.Context, id string) (integration.Event, []integration.Delivery, error)
	RetryEvent(ctx context.Context, id string, now time.Time, audit integration.AuditEntry) error
	EventCounts(ctx context.Context, service, tenant string) (integration.Counts, error)
	CountEventJob(ctx context.Context, f integration.Filter) (total, skipped int, err error)
	EventsAfter(ctx context.Context, f integration.Filter, position int64) (events []integration.Event, next int64, err error)
	EventsSince(ctx context.Context, since time.Time) (position int64, err error)
	LastEvent(ctx context.Context) (position int64, err error)
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
	CreateKey(ctx context.Context, key integration.APIKey, audit integration.AuditEntry) error
	KeyByHash(ctx context.Context, hash string) (integration.APIKey, error)
	Keys(ctx context.Context) ([]integration.APIKey, error)
	RevokeKey(ctx context.Context, id string, now time.Time, audit integration.AuditEntry) error
	Audit(ctx context.Context, entry integration.AuditEntry) error
	AuditLog(ctx context.Context, f integration.Filter) (entries []integration.AuditEntry, next string, err error)
	RecordDrift(ctx context.Context, list []integration.Drift) error
	Drift(ctx context.Context, f integration.Filter) (found []integration.Drift, next string, err error)
	Connections
	Secrets
	Retaining
	Doors
	Ping(ctx context.Context) error
	Close() error
}

// Harness is one empty store.
type Harness struct {
	Store Store
	// Queue lends the store's events.
	Queue lease.Queue[integration.Event, integration.Outcome]
	// CallQueue returns the queue of a store's calls.
	CallQueue func(s Store) lease.Queue[integration.Call, integration.CallOutcome]
	// ConnectionQueue returns the queue of a store's connections.
	ConnectionQueue func(s Store) lease.Queue[integration.Connection, integration.ConnectionOutcome]
	// Commits is how many transactions were committed so far.
	Commits func() int64
	// FailCommits makes commits fail with err from now on; nil mends them.
	FailCommits func(err error)
	// Flush returns when what Record was given before is in the store. Nil means
	// that a store writes in the order it is asked to.
	Flush func(s Store)
	// Reopen closes the store and opens what it left behind.
	Reopen func(t testing.TB) Store
}

// Run runs the suite; open returns a new store for each test.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		test func(*fixture)
	}{
		{"RepeatsAreKnown", testRepeats},
		{"RepeatsAtOnceAreKnown", testRepeatsAtOnce},
		{"ManyAtOnce", testAcceptAll},
		{"TenantsOfAccounts", testTenantsOfAccount},
		{"CallsWithKeys", testCallWithKey},
		{"ExactBytes", testExactBytes},
		{"RefusesWhatCantBeFound", testRefuses},
		{"BadRowHarmsNoNeighbour", testBadRow},
		{"CommitsAreShared", testCommitsShared},
		{"FailedCommitKeepsNothing", testFailedCommit},
		{"CallerThatLeft", testCallerLeft},
		{"IgnoredIsNeverDue", testIgnored},
		{"Outcomes", testOutcomes},
		{"EventPutOff", testPutOff},
		{"EventProgress", testProgress},
		{"ParkedEvents", testParked},
		{"ParkedAndDueEvents", testParkedAndDue},
		{"PausedDestinations", testPause},
		{"LinesOfEvents", testLines},
		{"LongLineOfEvents", testLongLine},
		{"LinesHold", testLinesHold},
		{"HoldingAtSome", testHolding},
		{"HoldingAgain", testHoldingAgain},
		{"PlacesHold", testPlacesHold},
		{"StaleEvents", testStale},
		{"EventsOfTenantsHaveTheirTurns", testEventTurns},
		{"EventPages", testEventPages},
		{"EventFilters", testEventFilters},
		{"Cursors", testCursors},
		{"RetryEvent", testRetryEvent},
		{"ReplayEvent", testReplayEvent},
		{"EventJobs", testEventJobs},
		{"EventJobIsStopped", testEventJobStopped},
		{"EventJobsOverlap", testEventJobsOverlap},
		{"EventsInOrder", testEventsInOrder},
		{"EventCounts", testEventCounts},
		{"KeptCall", testKeptCall},
		{"OtherCalls", testOtherCalls},
		{"CallFilters", testCallFilters},
		{"SettleCall", testSettleCall},
		{"QueuedCall", testQueuedCall},
		{"TurnsOfACall", testTurns},
		{"CallInDoubt", testDoubt},
		{"CallPriority", testPriority},
		{"TenantHeldBack", testHeldBack},
		{"FairBetweenTenants", testFair},
		{"RequeueCall", testRequeue},
		{"Jobs", testJobs},
		{"Keys", testKeys},
		{"AuditLog", testAuditLog},
		{"Drift", testDrift},
		{"Connection", testConnection},
		{"ConnectionIsWholeOrNotThere", testConnectionAtomic},
		{"ConnectionVersions", testConnectionVersions},
		{"ConnectionLists", testConnectionLists},
		{"OAuthStateIsTakenOnce", testOAuthState},
		{"RefreshLease", testRefreshLease},
		{"RefreshIntentSurvives", testRefreshIntent},
		{"ChangeUnderALoan", testChangeUnderLoan},
		{"TenantKeys", testTenantKeys},
		{"Reseal", testReseal},
		{"Rotation", testRotation},
		{"SecretSightings", testSightings},
		{"CredentialUses", testUses},
		{"LeakedSecrets", testLeaks},
		{"EraseTenant", testErase},
		{"EmptyPayloads", testEmptyPayloads},
		{"DeleteEvents", testDeleteEvents},
		{"StepsOfDeletion", testSteps},
		{"RetentionAndRetry", testRetentionAndRetry},
		{"KeepLess", testKeepLess},
		{"LargePayloads", testLargePayloads},
		{"DeleteCalls", testDeleteCalls},
		{"StoredServices", testStoredServices},
		{"Housekeeping", testHousekeeping},
		{"Sizes", testSizes},
		{"CloseKeepsWhatWasAcknowledged", testClose},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(&fixture{T: t, Harness: open(t)})
		})
	}
}

// start is where the suite's clock begins.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fixture is a store with the short forms that tests read better with.
type fixture struct {
	*testing.T
	Harness
	mu    sync.Mutex
	n     int
	calls lease.Queue[integration.Call, integration.CallOutcome]
}

// event makes an event that differs from all others of the fixture.
func (f *fixture) event(change ...func(*integration.Event)) *integration.Event {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	e := &integration.Event{
		ID: fmt.Sprintf("0198f000-0000-7000-8000-%012d", n), Service: "stripe", ExternalID: fmt.Sprintf("evt_%d", n),
		Tenant: "acme", Type: "invoice.paid", Subject: "in_1", OccurredAt: start.Add(-time.Minute), ReceivedAt: start.Add(time.Duration(n) * time.Second),
		Header:  http.Header{"Content-Type": {"application/json"}},
		Payload: fmt.Appendf(nil, `{"id":"evt_%d"}`, n), Status: integration.EventReceived,
	}
	for _, c := range change {
		c(e)
	}
	return e
}

// accept stores an event that has to be fresh.
func (f *fixture) accept(change ...func(*integration.Event)) *integration.Event {
	f.Helper()
	e := f.event(change...)
	if fresh, err := f.Store.Accept(f.Context(), e); err != nil || !fresh {
		f.Fatalf("accept: fresh %v, %v", fresh, err)
	}
	return e
}

func (f *fixture) read(id string) (integration.Event, []integration.Delivery) {
	f.Helper()
	e, deliveries, err := f.Store.Event(f.Context(), id)
	if err != nil {
		f.Fatalf("event %s: %v", id, err)
	}
	return e, deliveries
}

// events reads all pages of a list.
func (f *fixture) events(filter integration.Filter) []integration.Event {
	f.Helper()
	var all []integration.Event
	for {
		page, next, err := f.Store.Events(f.Context(), filter)
		if err != nil {
			f.Fatalf("list: %v", err)
		}
		all = append(all, page...)
		if filter.Cursor = next; next == "" {
			return all
		}
	}
}

// process claims everything due at now and completes it with the outcome.
func (f *fixture) process(now time.Time, o integration.Outcome) []lease.Held[integration.Event] {
	f.Helper()
	held, err := f.Queue.Claim(f.Context(), lease.Claim{Owner: "w", Now: now, Until: now.Add(time.Minute), Limit: 100})
	if err != nil {
		f.Fatalf("claim: %v", err)
	}
	done := make([]lease.Done[integration.Outcome], len(held))
	for i := range held {
		done[i] = lease.Done[integration.Outcome]{Key: held[i].Key, Outcome: o}
	}
	if lost, err := f.Queue.Complete(f.Context(), "w", done); err != nil || len(lost) > 0 {
		f.Fatalf("complete: lost %v, %v", lost, err)
	}
	return held
}

// flush returns when what was recorded before is in the store.
func (f *fixture) flush() {
	f.Helper()
	if f.Flush != nil {
		f.Flush(f.Store)
		return
	}
	if err := f.Store.Audit(f.Context(), integration.AuditEntry{At: start, Actor: "test", Action: "flush"}); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) auditActions() []string {
	f.Helper()
	entries, _, err := f.Store.AuditLog(f.Context(), integration.Filter{})
	if err != nil {
		f.Fatal(err)
	}
	var actions []string
	for _, e := range entries {
		if e.Action != "flush" {
			actions = append(actions, e.Action+" "+e.Target)
		}
	}
	return actions
}

func audit(action, target string) integration.AuditEntry {
	return integration.AuditEntry{At: start, Actor: "key:1", Action: action, Target: target, Detail: "by hand"}
}

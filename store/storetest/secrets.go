package storetest

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Secrets is what is asked of a store about the swapping, the age, the use and
// the erasing of secrets.
type Secrets interface {
	StartRotation(ctx context.Context, r integration.KeyRotation, audit integration.AuditEntry) error
	AdvanceRotation(ctx context.Context, r integration.KeyRotation) error
	LastRotation(ctx context.Context) (integration.KeyRotation, error)

	SeeSecrets(ctx context.Context, seen []integration.SecretSighting) error
	SecretSightings(ctx context.Context, service, environment string) ([]integration.SecretSighting, error)

	RecordUses(ctx context.Context, uses []integration.CredentialUse) error
	CredentialUses(ctx context.Context, f integration.Filter) (found []integration.CredentialUse, next string, err error)

	MarkLeaked(ctx context.Context, l integration.LeakedSecret, audit integration.AuditEntry) error
	UnmarkLeaked(ctx context.Context, fingerprint string, audit integration.AuditEntry) error
	LeakedSecrets(ctx context.Context) ([]integration.LeakedSecret, error)

	EraseKeys(ctx context.Context, tenant string, audit integration.AuditEntry) (integration.Erasure, error)
	ErasedSince(ctx context.Context, since time.Time) ([]string, error)
	EraseRecords(ctx context.Context, tenant string, most int) (erased integration.Erasure, more bool, err error)
}

// R2.7: one rotation at a time; a crash leaves where it was.
func testRotation(f *fixture) {
	if _, err := f.Store.LastRotation(f.Context()); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("none yet: %v", err)
	}
	r := integration.KeyRotation{ID: "r1", Before: "1", StartedAt: start}
	if err := f.Store.StartRotation(f.Context(), r, audit("secrets.rotate", "r1")); err != nil {
		f.Fatal(err)
	}
	if err := f.Store.StartRotation(f.Context(), integration.KeyRotation{ID: "r2", StartedAt: start}, audit("secrets.rotate", "r2")); !errors.Is(err, integration.ErrState) {
		f.Errorf("a second at once: %v", err)
	}
	r.Fresh, r.Position, r.Keys, r.Credentials = "2", "k7", 7, 70
	if err := f.Store.AdvanceRotation(f.Context(), r); err != nil {
		f.Fatal(err)
	}
	f.Store = f.Reopen(f)
	if got, err := f.Store.LastRotation(f.Context()); err != nil || !reflect.DeepEqual(got, r) {
		f.Errorf("after a crash %+v, %v", got, err)
	}
	r.FinishedAt = start.Add(time.Minute)
	if err := f.Store.AdvanceRotation(f.Context(), r); err != nil {
		f.Fatal(err)
	}
	if err := f.Store.AdvanceRotation(f.Context(), r); !errors.Is(err, integration.ErrState) {
		f.Errorf("one that is over goes on: %v", err)
	}
	if err := f.Store.StartRotation(f.Context(), integration.KeyRotation{ID: "r2", StartedAt: start}, audit("secrets.rotate", "r2")); err != nil {
		f.Errorf("the next: %v", err)
	}
	if actions := f.auditActions(); !reflect.DeepEqual(actions, []string{"secrets.rotate r2", "secrets.rotate r1"}) {
		f.Errorf("audit %v", actions)
	}
}

// R2.9: how long a secret is known stays known.
func testSightings(f *fixture) {
	one := integration.SecretSighting{Service: "stripe", Environment: "production", Name: "api_key", Fingerprint: "aaaa", Reference: "env:KEY", FirstSeen: start, LastSeen: start}
	other := one
	other.Fingerprint, other.FirstSeen, other.LastSeen = "bbbb", start.Add(time.Hour), start.Add(time.Hour)
	again := one
	again.FirstSeen, again.LastSeen, again.Reference = start.Add(2*time.Hour), start.Add(2*time.Hour), "file:/key"
	elsewhere := one
	elsewhere.Environment = "staging"
	if err := f.Store.SeeSecrets(f.Context(), []integration.SecretSighting{one, other, elsewhere}); err != nil {
		f.Fatal(err)
	}
	if err := f.Store.SeeSecrets(f.Context(), []integration.SecretSighting{again}); err != nil {
		f.Fatal(err)
	}
	one.LastSeen, one.Reference = again.LastSeen, again.Reference
	got, err := f.Store.SecretSightings(f.Context(), "stripe", "production")
	if err != nil || !reflect.DeepEqual(got, []integration.SecretSighting{one, other}) {
		f.Errorf("%+v, %v", got, err)
	}
}

// R2.10: uses are counted by the minute, and listed.
func testUses(f *fixture) {
	use := integration.CredentialUse{Minute: start, Service: "stripe", Tenant: "acme", Connection: "c1", Fingerprint: "aaaa", Endpoint: "get_customer", Actor: "key-1", Count: 3}
	other := use
	other.Actor, other.Tenant, other.Count, other.Refused = "program", "globex", 1, 1
	if err := f.Store.RecordUses(f.Context(), []integration.CredentialUse{use, other}); err != nil {
		f.Fatal(err)
	}
	if err := f.Store.RecordUses(f.Context(), []integration.CredentialUse{use}); err != nil {
		f.Fatal(err)
	}
	use.Count = 6
	got, next, err := f.Store.CredentialUses(f.Context(), integration.Filter{Service: "stripe"})
	if err != nil || next != "" || !reflect.DeepEqual(got, []integration.CredentialUse{other, use}) {
		f.Errorf("%+v, %q, %v", got, next, err)
	}
	for name, c := range map[string]struct {
		filter integration.Filter
		want   int
	}{
		"tenant":      {integration.Filter{Tenant: "globex"}, 1},
		"fingerprint": {integration.Filter{Status: "aaaa"}, 2},
		"actor":       {integration.Filter{Query: "key-1"}, 1},
		"endpoint":    {integration.Filter{Type: "elsewhere"}, 0},
		"later":       {integration.Filter{Since: start.Add(time.Minute)}, 0},
	} {
		if got, _, err := f.Store.CredentialUses(f.Context(), c.filter); err != nil || len(got) != c.want {
			f.Errorf("%s: %d, %v; want %d", name, len(got), err, c.want)
		}
	}
	bad := use
	bad.Count = 0
	late := use
	late.Endpoint = "late"
	if err := f.Store.RecordUses(f.Context(), []integration.CredentialUse{late, bad}); err == nil {
		f.Error("a use of nothing was kept")
	}
	if got, _, err := f.Store.CredentialUses(f.Context(), integration.Filter{Type: "late"}); err != nil || len(got) != 0 {
		f.Errorf("half a list was kept: %+v, %v", got, err)
	}
}

// R2.7: all of a tenant goes, in batches; its neighbours stay as they are.
func testErase(f *fixture) {
	f.tenantKey()
	globex := integration.TenantKey{ID: "0198a000-0000-7000-8000-000000000009", Tenant: "globex", Sealed: []byte("k"), Master: "1", CreatedAt: start}
	if err := f.Store.PutTenantKey(f.Context(), globex, ""); err != nil {
		f.Fatal(err)
	}
	f.connect("c1")
	theirs := f.connection("c2", func(c *integration.Connection) { c.Tenant = "globex" })
	for i := range theirs.Put {
		theirs.Put[i].KeyID = globex.ID
	}
	if err := f.Store.CreateConnection(f.Context(), theirs); err != nil {
		f.Fatal(err)
	}
	if _, _, err := f.Store.AcquireRefresh(f.Context(), "c1", "w", start, start.Add(time.Minute)); err != nil {
		f.Fatal(err)
	}
	if err := f.Store.PutOAuthState(f.Context(), integration.OAuthState{Hash: "h", Tenant: "acme", Service: "shopify", KeyID: firstKey, Sealed: []byte("x"), ExpiresAt: start.Add(time.Hour)}); err != nil {
		f.Fatal(err)
	}
	for i := range 5 {
		f.accept()
		if i < 2 {
			f.accept(func(e *integration.Event) { e.Tenant = "globex" })
		}
	}
	f.process(start.Add(time.Hour), integration.Outcome{Status: integration.EventFailed, Deliveries: []integration.Delivery{{ID: "d", State: integration.DeliveryFailed, Attempt: 1, StartedAt: start}}})
	for id, tenant := range map[string]string{"call-1": "acme", "call-2": "acme", "call-3": "globex"} {
		call := integration.Call{ID: id, Service: "shopify", Tenant: tenant, Method: "GET", Path: "/", State: integration.CallSucceeded, CreatedAt: start, Attempts: []integration.Attempt{{Number: 1, StartedAt: start}}}
		if err := f.Store.Record(f.Context(), &call); err != nil {
			f.Fatal(err)
		}
	}
	f.flush()
	tasks := f.Store.(interface {
		PutCursors(ctx context.Context, ids []string, due time.Time) error
		Cursors(ctx context.Context, prefix string, most int) ([]integration.Cursor, error)
	})
	if err := tasks.PutCursors(f.Context(), []string{"reconcile:shopify/c1", "subscription:shopify/c1", "reconcile:shopify/c2", "reconcile:shopify"}, start); err != nil {
		f.Fatal(err)
	}
	for id, tenant := range map[string]string{"job-1": "acme", "job-2": "globex", "job-3": ""} {
		j := integration.Job{ID: id, Service: "shopify", Kind: integration.JobCalls, Filter: integration.Filter{Service: "shopify", Tenant: tenant, Query: "\x00 \"Tenant\":\"acme\""}, CreatedAt: start}
		if err := f.Store.CreateJob(f.Context(), &j, audit("job.create", id)); err != nil {
			f.Fatal(err)
		}
	}

	erased, err := f.Store.EraseKeys(f.Context(), "acme", audit("tenant.erase", "acme"))
	if err != nil {
		f.Fatal(err)
	}
	for prefix, want := range map[string]int{"reconcile:": 2, "subscription:": 0} {
		if left, err := tasks.Cursors(f.Context(), prefix, 10); err != nil || len(left) != want {
			f.Errorf("tasks left: %v, %v", left, err)
		}
	}
	for more := true; more; {
		var part integration.Erasure
		if part, more, err = f.Store.EraseRecords(f.Context(), "acme", 2); err != nil {
			f.Fatal(err)
		}
		if part.Events > 2 || part.Calls > 2 {
			f.Errorf("a batch of %+v", part)
		}
		erased.Add(part)
	}
	want := integration.Erasure{
		DataKeys: []string{firstKey}, Masters: []string{"1"}, Credentials: 2, Connections: 1, Flows: 1,
		Events: 5, Deliveries: 5, Calls: 2, Attempts: 2,
	}
	if !reflect.DeepEqual(erased, want) {
		f.Errorf("erased %+v\nwant   %+v", erased, want)
	}
	f.Store = f.Reopen(f)
	if _, _, err := f.Store.Connection(f.Context(), "c1"); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("its connection: %v", err)
	}
	if _, err := f.Store.TenantKey(f.Context(), firstKey); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("its key: %v", err)
	}
	if left := f.events(integration.Filter{}); len(left) != 2 || left[0].Tenant != "globex" {
		f.Errorf("%d events are left", len(left))
	}
	if left, _, err := f.Store.Calls(f.Context(), integration.Filter{}); err != nil || len(left) != 1 || left[0].ID != "call-3" {
		f.Errorf("%d calls are left, %v", len(left), err)
	}
	for id, gone := range map[string]bool{"job-1": true, "job-2": false, "job-3": false} {
		if _, err := f.Store.Job(f.Context(), id); errors.Is(err, integration.ErrNotFound) != gone || err != nil && !gone {
			f.Errorf("%s: %v", id, err)
		}
	}
	if _, sealed := f.readConnection("c2"); len(sealed) != 2 {
		f.Errorf("the neighbour has %v", sealed)
	}
	if gone, err := f.Store.ErasedSince(f.Context(), start.Add(-time.Hour)); err != nil || !reflect.DeepEqual(gone, []string{"acme"}) {
		f.Errorf("erased are %v, %v", gone, err)
	}
	if gone, err := f.Store.ErasedSince(f.Context(), start.Add(24*time.Hour)); err != nil || len(gone) != 0 {
		f.Errorf("erased later are %v, %v", gone, err)
	}
	nothing, err := f.Store.EraseKeys(f.Context(), "acme", audit("tenant.erase", "acme"))
	if err != nil || !reflect.DeepEqual(nothing, integration.Erasure{}) {
		f.Errorf("a second time: %+v, %v", nothing, err)
	}
}

// R2.9: a mark stays until it is taken off, and the first one counts.
func testLeaks(f *fixture) {
	if list, err := f.Store.LeakedSecrets(f.Context()); err != nil || len(list) != 0 {
		f.Errorf("none yet: %v, %v", list, err)
	}
	one := integration.LeakedSecret{Fingerprint: "aaaa0000", Service: "stripe", Environment: "production", Name: "api_key", At: start, Actor: "key:1"}
	other := integration.LeakedSecret{Fingerprint: "bbbb0000", Service: "hubspot", Connection: "c1", Name: "api_key", At: start.Add(time.Hour), Actor: "key:2"}
	again := one
	again.At, again.Service = start.Add(2*time.Hour), "other"
	for _, l := range []integration.LeakedSecret{one, other, again} {
		if err := f.Store.MarkLeaked(f.Context(), l, audit("secret.leaked", l.Fingerprint)); err != nil {
			f.Fatal(err)
		}
	}
	f.Store = f.Reopen(f)
	if list, err := f.Store.LeakedSecrets(f.Context()); err != nil || !reflect.DeepEqual(list, []integration.LeakedSecret{other, one}) {
		f.Errorf("%+v, %v", list, err)
	}
	if err := f.Store.UnmarkLeaked(f.Context(), "aaaa0000", audit("secret.unmarked", "aaaa0000")); err != nil {
		f.Fatal(err)
	}
	if err := f.Store.UnmarkLeaked(f.Context(), "aaaa0000", audit("secret.unmarked", "aaaa0000")); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("a second time: %v", err)
	}
	if list, err := f.Store.LeakedSecrets(f.Context()); err != nil || !reflect.DeepEqual(list, []integration.LeakedSecret{other}) {
		f.Errorf("%+v, %v", list, err)
	}
	if actions := f.auditActions(); len(actions) != 4 || actions[0] != "secret.unmarked aaaa0000" {
		f.Errorf("audit %v", actions)
	}
}

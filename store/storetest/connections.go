package storetest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// Connections is what is asked of a store about connections and the keys of
// their credentials.
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

	TenantKey(ctx context.Context, id string) (integration.TenantKey, error)
	TenantKeyInUse(ctx context.Context, tenant string) (integration.TenantKey, error)
	PutTenantKey(ctx context.Context, k integration.TenantKey, replaces string) error
	TenantKeys(ctx context.Context, after string, most int) ([]integration.TenantKey, error)
	RewrapTenantKey(ctx context.Context, k integration.TenantKey, from string) error
	ForgetTenantKeys(ctx context.Context, before time.Time) (n int, err error)
	SealedWith(ctx context.Context, key string, most int) ([]integration.Credential, error)
	Reseal(ctx context.Context, list []integration.Credential, from string) (written int, err error)
}

// connection makes a connection of acme to shopify with an access token and a
// refresh token.
func (f *fixture) connection(id string, change ...func(*integration.Connection)) integration.ConnectionChange {
	f.Helper()
	c := integration.Connection{
		ID: id, Tenant: "acme", Service: "shopify", Environment: "production", Kind: "oauth2_code", State: integration.ConnectionConnected,
		Account: "acme.myshopify.com", Variables: map[string]string{"shop": "acme"}, Scopes: []string{"read_orders", "write_orders"},
		CreatedAt: start, UpdatedAt: start, ExpiresAt: start.Add(time.Hour), RenewBefore: start.Add(90 * 24 * time.Hour),
		Task: integration.TaskRefresh, DueAt: start.Add(50 * time.Minute),
	}
	for _, edit := range change {
		edit(&c)
	}
	return integration.ConnectionChange{
		Connection: c,
		Put:        []integration.Credential{f.credential(id, "access_token", "a1"), f.credential(id, "refresh_token", "r1")},
	}
}

const firstKey = "0198a000-0000-7000-8000-000000000001"

func (f *fixture) credential(connection, field, value string) integration.Credential {
	return integration.Credential{
		Connection: connection, Field: field, Sealed: []byte("sealed " + value), KeyID: firstKey, Fingerprint: "fp-" + value, CreatedAt: start,
		ExpiresAt: start.Add(time.Hour),
	}
}

// tenantKey gives acme a data key.
func (f *fixture) tenantKey() integration.TenantKey {
	f.Helper()
	k := integration.TenantKey{ID: firstKey, Tenant: "acme", Sealed: []byte("sealed key"), Master: "1", CreatedAt: start}
	if err := f.Store.PutTenantKey(f.Context(), k, ""); err != nil {
		f.Fatalf("tenant key: %v", err)
	}
	return k
}

func (f *fixture) connect(id string, change ...func(*integration.Connection)) integration.Connection {
	f.Helper()
	if err := f.Store.CreateConnection(f.Context(), f.connection(id, change...)); err != nil {
		f.Fatalf("connection %s: %v", id, err)
	}
	c, _ := f.readConnection(id)
	return c
}

func (f *fixture) readConnection(id string) (integration.Connection, map[string]string) {
	f.Helper()
	c, credentials, err := f.Store.Connection(f.Context(), id)
	if err != nil {
		f.Fatalf("connection %s: %v", id, err)
	}
	sealed := map[string]string{}
	for _, k := range credentials {
		sealed[k.Field] = string(k.Sealed)
	}
	return c, sealed
}

// R2.2, R2.7: a connection is kept with its credentials, and all comes back.
func testConnection(f *fixture) {
	f.tenantKey()
	change := f.connection("c1")
	entry := audit("connection.create", "c1")
	change.Audit = &entry
	change.Event = integration.OwnEvent("0198e", "shopify", "app", "connection.connected", "c1", "acme", start, []byte("{}"))
	if err := f.Store.CreateConnection(f.Context(), change); err != nil {
		f.Fatal(err)
	}
	f.Store = f.Reopen(f)
	want := change.Connection
	want.Version = 1
	got, credentials, err := f.Store.Connection(f.Context(), "c1")
	if err != nil || !reflect.DeepEqual(got, want) {
		f.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	if !reflect.DeepEqual(credentials, change.Put) {
		f.Errorf("credentials %+v", credentials)
	}
	if actions := f.auditActions(); !reflect.DeepEqual(actions, []string{"connection.create c1"}) {
		f.Errorf("audit %v", actions)
	}
	if e, _ := f.read("0198e"); e.Type != "connection.connected" || e.DueAt.IsZero() {
		f.Errorf("event %+v", e)
	}
	if err := f.Store.CreateConnection(f.Context(), f.connection("c1")); !errors.Is(err, integration.ErrState) {
		f.Errorf("the same id again: %v", err)
	}
	if _, _, err := f.Store.Connection(f.Context(), "c2"); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("another id: %v", err)
	}
}

// R2.4: what is written about a connection is written whole or not at all.
func testConnectionAtomic(f *fixture) {
	f.tenantKey()
	bad := f.connection("c1")
	bad.Put[1].KeyID = "0198a000-0000-7000-8000-00000000dead" // of an erased tenant
	entry := audit("connection.create", "c1")
	bad.Audit = &entry
	if err := f.Store.CreateConnection(f.Context(), bad); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("sealed with a key that is gone: %v", err)
	}
	if _, _, err := f.Store.Connection(f.Context(), "c1"); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("half a connection was kept: %v", err)
	}
	if actions := f.auditActions(); len(actions) > 0 {
		f.Errorf("audit %v", actions)
	}
	c := f.connect("c1")
	change := integration.ConnectionChange{Connection: c, Put: []integration.Credential{f.credential("c1", "access_token", "a2"), bad.Put[1]}}
	change.Connection.State = integration.ConnectionExpiring
	if err := f.Store.ChangeConnection(f.Context(), change); err == nil {
		f.Error("a change with a credential nobody can open was kept")
	}
	if after, sealed := f.readConnection("c1"); !reflect.DeepEqual(after, c) || sealed["access_token"] != "sealed a1" {
		f.Errorf("half a change was kept: %+v, %v", after, sealed)
	}
	for name, spoil := range map[string]func(*integration.ConnectionChange){
		"no id":         func(c *integration.ConnectionChange) { c.Connection.ID = "" },
		"no time":       func(c *integration.ConnectionChange) { c.Connection.UpdatedAt = time.Time{} },
		"not sealed":    func(c *integration.ConnectionChange) { c.Put[0].Sealed = nil },
		"another's":     func(c *integration.ConnectionChange) { c.Put[0].Connection = "c9" },
		"unknown state": func(c *integration.ConnectionChange) { c.Connection.State = "fine" },
	} {
		change := f.connection("c2")
		spoil(&change)
		if err := f.Store.CreateConnection(f.Context(), change); err == nil {
			f.Errorf("%s: kept", name)
		}
	}
}

// R2.4, R2.6: a change made from what has moved on is refused; disconnecting
// deletes the credentials and takes the row out of the queue.
func testConnectionVersions(f *fixture) {
	f.tenantKey()
	c := f.connect("c1")
	change := integration.ConnectionChange{Connection: c, Put: []integration.Credential{f.credential("c1", "access_token", "a2")}, Drop: []string{"refresh_token"}}
	change.Connection.State, change.Connection.Reason, change.Connection.UpdatedAt = integration.ConnectionExpiring, "the provider is down", start.Add(time.Minute)
	if err := f.Store.ChangeConnection(f.Context(), change); err != nil {
		f.Fatal(err)
	}
	after, sealed := f.readConnection("c1")
	if after.Version != 2 || after.State != integration.ConnectionExpiring || !after.CreatedAt.Equal(start) || !reflect.DeepEqual(sealed, map[string]string{"access_token": "sealed a2"}) {
		f.Errorf("after a change: %+v, %v", after, sealed)
	}
	if err := f.Store.ChangeConnection(f.Context(), change); !errors.Is(err, integration.ErrFenced) {
		f.Errorf("a change of an older version: %v", err)
	}
	gone := integration.ConnectionChange{Connection: after, DropAll: true}
	gone.Connection.State, gone.Connection.Task, gone.Connection.DueAt = integration.ConnectionDisconnected, integration.TaskNone, time.Time{}
	if err := f.Store.ChangeConnection(f.Context(), gone); err != nil {
		f.Fatal(err)
	}
	if after, sealed := f.readConnection("c1"); after.State != integration.ConnectionDisconnected || len(sealed) > 0 {
		f.Errorf("disconnected: %+v, %v", after, sealed)
	}
	if next, err := f.ConnectionQueue(f.Store).NextDue(f.Context()); err != nil || !next.IsZero() {
		f.Errorf("a disconnected one is due at %v, %v", next, err)
	}
	gone.Connection.ID = "c9"
	if err := f.Store.ChangeConnection(f.Context(), gone); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("none there: %v", err)
	}
}

// R3.5: connections are found by tenant and service, and listed.
func testConnectionLists(f *fixture) {
	f.tenantKey()
	f.connect("c1")
	f.connect("c2", func(c *integration.Connection) { c.State = integration.ConnectionDisconnected })
	f.connect("c3")
	f.connect("c4", func(c *integration.Connection) { c.Tenant = "globex" })
	f.connect("c5", func(c *integration.Connection) { c.Environment = "staging" })
	f.connect("c6", func(c *integration.Connection) { c.Service = "slack" })
	ids := func(list []integration.Connection, err error) (ids []string) {
		if err != nil {
			f.Error(err)
		}
		for i := range list {
			ids = append(ids, list[i].ID)
		}
		return ids
	}
	if got := ids(f.Store.ConnectionsOf(f.Context(), "shopify", "production", "acme")); !reflect.DeepEqual(got, []string{"c3", "c1", "c2"}) {
		f.Errorf("of acme: %v", got)
	}
	if got := ids(f.Store.ConnectionsOf(f.Context(), "shopify", "production", "nobody")); got != nil {
		f.Errorf("of nobody: %v", got)
	}
	for name, c := range map[string]struct {
		filter integration.Filter
		want   []string
	}{
		"all":         {integration.Filter{}, []string{"c6", "c5", "c4", "c3", "c2", "c1"}},
		"tenant":      {integration.Filter{Tenant: "globex"}, []string{"c4"}},
		"state":       {integration.Filter{Status: "disconnected", Service: "shopify", Tenant: "acme"}, []string{"c2"}},
		"environment": {integration.Filter{Type: "staging"}, []string{"c5"}},
		"text":        {integration.Filter{Query: "c6"}, []string{"c6"}},
		"too old":     {integration.Filter{Since: start.Add(time.Second)}, nil},
	} {
		list, _, err := f.Store.Connections(f.Context(), c.filter)
		if got := ids(list, err); !reflect.DeepEqual(got, c.want) {
			f.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	page, next, err := f.Store.Connections(f.Context(), integration.Filter{Limit: 4})
	if err != nil || len(page) != 4 || next == "" {
		f.Fatalf("%d, %q, %v", len(page), next, err)
	}
	if rest, last, err := f.Store.Connections(f.Context(), integration.Filter{Limit: 4, Cursor: next}); err != nil || len(rest) != 2 || last != "" {
		f.Errorf("%d, %q, %v", len(rest), last, err)
	}
	if counts, err := f.Store.ConnectionCounts(f.Context(), "shopify", "production"); err != nil || !reflect.DeepEqual(counts, map[string]int{"connected": 3, "disconnected": 1}) {
		f.Errorf("counts %v, %v", counts, err)
	}
	used := start.Add(time.Hour)
	if err := f.Store.TouchConnections(f.Context(), map[string]time.Time{"c1": used, "nowhere": used}); err != nil {
		f.Error(err)
	}
	if err := f.Store.TouchConnections(f.Context(), map[string]time.Time{"c1": start}); err != nil {
		f.Error(err)
	}
	if c, _ := f.readConnection("c1"); !c.LastUsedAt.Equal(used) || c.Version != 1 {
		f.Errorf("used %v, version %d", c.LastUsedAt, c.Version)
	}
}

// R2.2: a state is taken once, by whoever comes first, and not after its time.
func testOAuthState(f *fixture) {
	f.tenantKey()
	o := integration.OAuthState{
		Hash: "h1", Flow: "oauth", Connection: "c1", Tenant: "acme", Service: "shopify", Environment: "production", Browser: "b", Issuer: "https://issuer.example",
		RedirectURI: "https://us.example/oauth/callback", ReturnURL: "https://app.example/done", Variables: map[string]string{"shop": "acme"}, Scopes: []string{"read"},
		Sealed: []byte("sealed verifier"), KeyID: firstKey, CreatedAt: start, ExpiresAt: start.Add(10 * time.Minute),
	}
	if err := f.Store.PutOAuthState(f.Context(), o); err != nil {
		f.Fatal(err)
	}
	if err := f.Store.PutOAuthState(f.Context(), o); err == nil {
		f.Error("the same token twice")
	}
	if got, err := f.Store.OAuthState(f.Context(), "h1", start); err != nil || !reflect.DeepEqual(got, o) {
		f.Errorf("read %+v, %v", got, err)
	}
	var taken, refused int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			got, err := f.Store.TakeOAuthState(f.Context(), "h1", start.Add(time.Minute))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && reflect.DeepEqual(got, o):
				taken++
			case errors.Is(err, integration.ErrNotFound):
				refused++
			}
		})
	}
	all.Wait()
	if taken != 1 || refused != 7 {
		f.Errorf("taken %d times, refused %d", taken, refused)
	}
	o.Hash, o.KeyID, o.Sealed = "h2", "", nil
	if err := f.Store.PutOAuthState(f.Context(), o); err != nil {
		f.Fatal(err)
	}
	if _, err := f.Store.OAuthState(f.Context(), "h2", o.ExpiresAt); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("read after its time: %v", err)
	}
	if _, err := f.Store.TakeOAuthState(f.Context(), "h2", o.ExpiresAt); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("taken after its time: %v", err)
	}
	o.Hash = "h3"
	if err := f.Store.PutOAuthState(f.Context(), o); err != nil {
		f.Fatal(err)
	}
	if n, err := f.Store.ForgetOAuthStates(f.Context(), start, 10); err != nil || n != 0 {
		f.Errorf("forgot %d that were fresh, %v", n, err)
	}
	if n, err := f.Store.ForgetOAuthStates(f.Context(), o.ExpiresAt, 10); err != nil || n != 1 {
		f.Errorf("forgot %d, %v", n, err)
	}
}

// R2.4: what a worker learns of a connection while it has it on loan wins over
// what it says in the end; a task that is not done counts its attempts.
func testChangeUnderLoan(f *fixture) {
	f.tenantKey()
	f.connect("c1")
	queue := f.ConnectionQueue(f.Store)
	now := start.Add(time.Hour)
	claim := func() lease.Held[integration.Connection] {
		f.Helper()
		held, err := queue.Claim(f.Context(), lease.Claim{Owner: "w", Now: now, Until: now.Add(time.Minute), Limit: 9})
		if err != nil || len(held) != 1 {
			f.Fatalf("claim: %d, %v", len(held), err)
		}
		return held[0]
	}
	complete := func(h lease.Held[integration.Connection], o integration.ConnectionOutcome) {
		f.Helper()
		lost, err := queue.Complete(f.Context(), "w", []lease.Done[integration.ConnectionOutcome]{{Key: h.Key, Outcome: o}})
		if err != nil || len(lost) > 0 {
			f.Fatalf("complete: lost %v, %v", lost, err)
		}
	}
	held := claim()
	if held.Value.Task != integration.TaskRefresh || held.Value.Attempts != 1 {
		f.Errorf("lent %+v", held.Value)
	}
	complete(held, integration.ConnectionOutcome{Task: integration.TaskRefresh, DueAt: now.Add(time.Second), Reason: "no answer"})
	now = now.Add(time.Minute)
	held = claim()
	if held.Value.Attempts != 2 || held.Value.Reason != "no answer" {
		f.Errorf("the second time: %+v", held.Value)
	}
	change := integration.ConnectionChange{Connection: held.Value}
	change.Connection.Task, change.Connection.DueAt, change.Connection.State, change.Connection.Attempts = integration.TaskNone, time.Time{}, integration.ConnectionNeedsReauth, 0
	if err := f.Store.ChangeConnection(f.Context(), change); err != nil {
		f.Fatal(err)
	}
	complete(held, integration.ConnectionOutcome{Task: integration.TaskRefresh, DueAt: now.Add(time.Second), Reason: "late word"})
	if c, _ := f.readConnection("c1"); c.Task != integration.TaskNone || !c.DueAt.IsZero() || c.Reason != "no answer" || c.Attempts != 0 {
		f.Errorf("in the end: %+v", c)
	}
	if next, err := queue.NextDue(f.Context()); err != nil || !next.IsZero() {
		f.Errorf("due at %v, %v", next, err)
	}
}

package storetest

import (
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
)

// R2.4: one at a time refreshes a connection; who lost the right writes nothing.
func testRefreshLease(f *fixture) {
	f.tenantKey()
	c := f.connect("c1")
	until := start.Add(30 * time.Second)
	var mu sync.Mutex
	var winners []integration.RefreshLease
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			l, ok, err := f.Store.AcquireRefresh(f.Context(), "c1", string(rune('a'+i)), start, until)
			if err != nil || !l.Until.Equal(until) || l.Owner == "" {
				f.Errorf("%+v, %v", l, err)
			}
			if ok {
				mu.Lock()
				winners = append(winners, l)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(winners) != 1 {
		f.Fatalf("%d have the lease", len(winners))
	}
	first := winners[0]
	if _, ok, err := f.Store.AcquireRefresh(f.Context(), "c1", first.Owner, start, until); ok || err != nil {
		f.Errorf("its own holder a second time: %v, %v", ok, err)
	}
	if err := f.Store.RenewRefresh(f.Context(), first, until.Add(time.Minute)); err != nil {
		f.Error(err)
	}
	late := until.Add(time.Minute)
	if _, ok, err := f.Store.AcquireRefresh(f.Context(), "c1", "next", until, late); ok || err != nil {
		f.Errorf("a renewed lease was taken: %v, %v", ok, err)
	}
	second, ok, err := f.Store.AcquireRefresh(f.Context(), "c1", "next", late, late.Add(time.Minute))
	if !ok || err != nil || second.Version <= first.Version || second.Intent != nil {
		f.Fatalf("after its end: %+v, %v, %v", second, ok, err)
	}
	change := integration.ConnectionChange{Connection: c, Put: []integration.Credential{f.credential("c1", "access_token", "stale")}}
	for name, err := range map[string]error{
		"renew":    f.Store.RenewRefresh(f.Context(), first, late.Add(time.Hour)),
		"intend":   f.Store.IntendRefresh(f.Context(), first, "fp", late),
		"complete": f.Store.CompleteRefresh(f.Context(), first, change),
		"release":  f.Store.ReleaseRefresh(f.Context(), first, true),
	} {
		if !errors.Is(err, integration.ErrFenced) {
			f.Errorf("%s of a lost lease: %v", name, err)
		}
	}
	if after, sealed := f.readConnection("c1"); after.Version != 1 || sealed["access_token"] != "sealed a1" {
		f.Errorf("a lost lease wrote: %+v, %v", after, sealed)
	}
	if _, _, err := f.Store.AcquireRefresh(f.Context(), "nowhere", "a", start, until); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("no such connection: %v", err)
	}
}

// R2.4: what was asked and never answered is known after a crash; a refresh
// that is complete leaves nothing behind, and one that lost to a reconnect
// writes nothing.
func testRefreshIntent(f *fixture) {
	f.tenantKey()
	c := f.connect("c1")
	acquire := func(owner string, now time.Time) integration.RefreshLease {
		f.Helper()
		l, ok, err := f.Store.AcquireRefresh(f.Context(), "c1", owner, now, now.Add(time.Minute))
		if err != nil || !ok {
			f.Fatalf("lease of %s: %v, %v", owner, ok, err)
		}
		return l
	}
	dead := acquire("dead", start)
	if err := f.Store.IntendRefresh(f.Context(), dead, "fp-r1", start.Add(time.Second)); err != nil {
		f.Fatal(err)
	}
	f.Store = f.Reopen(f)
	heir := acquire("heir", start.Add(time.Hour))
	want := &integration.RefreshIntent{Version: dead.Version, Fingerprint: "fp-r1", AskedAt: start.Add(time.Second)}
	if !reflect.DeepEqual(heir.Intent, want) {
		f.Fatalf("the heir sees %+v, want %+v", heir.Intent, want)
	}
	if err := f.Store.ReleaseRefresh(f.Context(), heir, false); err != nil {
		f.Fatal(err)
	}
	heir = acquire("heir", start.Add(time.Hour))
	if !reflect.DeepEqual(heir.Intent, want) {
		f.Errorf("given back unsettled: %+v", heir.Intent)
	}
	change := integration.ConnectionChange{Connection: c, Put: []integration.Credential{f.credential("c1", "access_token", "a2"), f.credential("c1", "refresh_token", "r2")}}
	change.Connection.ExpiresAt, change.Connection.UpdatedAt = start.Add(3*time.Hour), start.Add(time.Hour)
	if err := f.Store.CompleteRefresh(f.Context(), heir, change); err != nil {
		f.Fatal(err)
	}
	after, sealed := f.readConnection("c1")
	if after.Version != 2 || !after.ExpiresAt.Equal(start.Add(3*time.Hour)) || sealed["refresh_token"] != "sealed r2" {
		f.Errorf("after the refresh: %+v, %v", after, sealed)
	}
	next := acquire("next", start.Add(time.Hour))
	if next.Intent != nil {
		f.Errorf("an intent is left: %+v", next.Intent)
	}
	reconnect := integration.ConnectionChange{Connection: after, Put: []integration.Credential{f.credential("c1", "refresh_token", "new")}}
	if err := f.Store.ChangeConnection(f.Context(), reconnect); err != nil {
		f.Fatal(err)
	}
	stale := integration.ConnectionChange{Connection: after, Put: []integration.Credential{f.credential("c1", "refresh_token", "r3")}}
	if err := f.Store.CompleteRefresh(f.Context(), next, stale); !errors.Is(err, integration.ErrFenced) {
		f.Errorf("a refresh after a reconnect: %v", err)
	}
	if _, sealed := f.readConnection("c1"); sealed["refresh_token"] != "sealed new" {
		f.Errorf("it wrote over the new token: %v", sealed)
	}
	if err := f.Store.RenewRefresh(f.Context(), next, start.Add(5*time.Hour)); err != nil {
		f.Errorf("its lease went with it: %v", err)
	}
}

// R2.7: a tenant has one data key in use, credentials can't be kept under one
// that is gone, and one that is retired and unused can be forgotten.
func testTenantKeys(f *fixture) {
	k := f.tenantKey()
	second := integration.TenantKey{ID: "0198a000-0000-7000-8000-000000000002", Tenant: "acme", Sealed: []byte("second"), Master: "1", CreatedAt: start.Add(time.Hour)}
	if err := f.Store.PutTenantKey(f.Context(), second, ""); !errors.Is(err, integration.ErrFenced) {
		f.Errorf("another first key: %v", err)
	}
	f.connect("c1")
	if err := f.Store.PutTenantKey(f.Context(), second, k.ID); err != nil {
		f.Fatal(err)
	}
	if got, err := f.Store.TenantKeyInUse(f.Context(), "acme"); err != nil || !reflect.DeepEqual(got, second) {
		f.Errorf("in use %+v, %v", got, err)
	}
	k.RetiredAt = second.CreatedAt
	if got, err := f.Store.TenantKey(f.Context(), k.ID); err != nil || !reflect.DeepEqual(got, k) {
		f.Errorf("retired %+v, %v", got, err)
	}
	if _, err := f.Store.TenantKeyInUse(f.Context(), "globex"); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("of a tenant without one: %v", err)
	}
	page, err := f.Store.TenantKeys(f.Context(), "", 1)
	if err != nil || len(page) != 1 || page[0].ID != k.ID {
		f.Errorf("first page %+v, %v", page, err)
	}
	if page, err = f.Store.TenantKeys(f.Context(), k.ID, 9); err != nil || len(page) != 1 || page[0].ID != second.ID {
		f.Errorf("second page %+v, %v", page, err)
	}
	wrapped := k
	wrapped.Sealed, wrapped.Master = []byte("anew"), "2"
	if err := f.Store.RewrapTenantKey(f.Context(), wrapped, "1"); err != nil {
		f.Error(err)
	}
	if err := f.Store.RewrapTenantKey(f.Context(), wrapped, "1"); !errors.Is(err, integration.ErrFenced) {
		f.Errorf("the second time: %v", err)
	}
	later := start.Add(48 * time.Hour)
	if n, err := f.Store.ForgetTenantKeys(f.Context(), later); err != nil || n != 0 {
		f.Errorf("forgot %d that are needed, %v", n, err)
	}
}

// R2.7: credentials are sealed anew under another key, never over a newer value.
func testReseal(f *fixture) {
	k := f.tenantKey()
	f.connect("c1")
	second := integration.TenantKey{ID: "0198a000-0000-7000-8000-000000000002", Tenant: "acme", Sealed: []byte("second"), Master: "1", CreatedAt: start.Add(time.Hour)}
	if err := f.Store.PutTenantKey(f.Context(), second, k.ID); err != nil {
		f.Fatal(err)
	}
	list, err := f.Store.SealedWith(f.Context(), k.ID, 10)
	if err != nil || len(list) != 2 {
		f.Fatalf("%d, %v", len(list), err)
	}
	c, _ := f.readConnection("c1")
	refreshed := f.credential("c1", "refresh_token", "r2")
	refreshed.CreatedAt = start.Add(time.Minute)
	if err := f.Store.ChangeConnection(f.Context(), integration.ConnectionChange{Connection: c, Put: []integration.Credential{refreshed}}); err != nil {
		f.Fatal(err)
	}
	for i := range list {
		list[i].Sealed, list[i].KeyID = []byte("anew "+list[i].Field), second.ID
	}
	if n, err := f.Store.Reseal(f.Context(), list, k.ID); err != nil || n != 1 {
		f.Errorf("written %d, %v", n, err)
	}
	after, sealed := f.readConnection("c1")
	if !reflect.DeepEqual(sealed, map[string]string{"access_token": "anew access_token", "refresh_token": "sealed r2"}) || after.Version != 2 {
		f.Errorf("%v, version %d", sealed, after.Version)
	}
	list, err = f.Store.SealedWith(f.Context(), k.ID, 10)
	if err != nil || len(list) != 1 || list[0].Field != "refresh_token" {
		f.Fatalf("left %+v, %v", list, err)
	}
	list[0].Sealed, list[0].KeyID = []byte("anew"), second.ID
	if n, err := f.Store.Reseal(f.Context(), list, k.ID); err != nil || n != 1 {
		f.Errorf("written %d, %v", n, err)
	}
	f.keptForSubscription()
	if n, err := f.Store.ForgetTenantKeys(f.Context(), start.Add(48*time.Hour)); err != nil || n != 1 {
		f.Errorf("forgot %d, %v", n, err)
	}
	if _, err := f.Store.TenantKey(f.Context(), k.ID); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("the old key: %v", err)
	}
}

// keptForSubscription checks that a retired data key stays as long as the secret
// of a subscription is sealed with it.
func (f *fixture) keptForSubscription() {
	s, ok := f.Store.(Reconciling)
	if !ok {
		return
	}
	id := uuid.MustParse(firstKey)
	sealed := append(append([]byte{1}, id[:]...), "ciphertext"...)
	if err := s.PutSubscription(f.Context(), &integration.Subscription{Service: "stripe", ExternalID: "we_1", CreatedAt: start, CheckedAt: start, Sealed: sealed}); err != nil {
		f.Fatal(err)
	}
	if n, err := f.Store.ForgetTenantKeys(f.Context(), start.Add(48*time.Hour)); err != nil || n != 0 {
		f.Errorf("forgot %d that a subscription needs, %v", n, err)
	}
	if err := s.ForgetSubscription(f.Context(), "stripe", "", "we_1"); err != nil {
		f.Fatal(err)
	}
}

package vault_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
	"github.com/sallyport/sallyport/vault"
)

// R2.7: an erased tenant can't be opened in the database; in a backup from
// before only while the master key of that time is there. Its neighbours lose
// nothing. The receipt can be checked.
func TestEraseTenant(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2, 2) // c0 and c2 are t0's
	backup := backup(t, h)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 2*200 + 7 {
		id := fmt.Sprint("e", i)
		if _, err := h.Accept(t.Context(), &integration.Event{ID: id, Service: "s", Tenant: "t0", ExternalID: id, Type: "a", ReceivedAt: at, Status: integration.EventIgnored}); err != nil {
			t.Fatal(err)
		}
	}
	var told int
	receipt, err := (&vault.Erasing{From: h, Progress: func(integration.Erasure) { told++ }, Now: func() time.Time { return at }}).Tenant(t.Context(), "t0", "test")
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Credentials != 2 || receipt.Connections != 2 || receipt.Events != 407 || len(receipt.DataKeys) != 1 || told != 3 || receipt.By != "test" || !receipt.At.Equal(at) {
		t.Errorf("%+v, told %d times", receipt, told)
	}
	sum := receipt.SHA256
	receipt.SHA256 = ""
	b, err := json.Marshal(receipt)
	if err != nil {
		t.Fatal(err)
	}
	if digest := sha256.Sum256(b); hex.EncodeToString(digest[:]) != sum {
		t.Errorf("the receipt does not match its digest")
	}
	h.opensOnly(t, "c1", "c3")

	// The backup holds the data key: with the master key of then it opens.
	open := func(master vault.Master) error {
		_, credentials, err := backup.Connection(t.Context(), "c0")
		if err != nil {
			t.Fatal(err)
		}
		_, err = newSealer(t, backup, master).Open(t.Context(), vault.Binding{Tenant: "t0", Connection: "c0", Field: "token"}, credentials[0].Sealed)
		return err
	}
	if err := open(h.master(t)); err != nil {
		t.Fatalf("the test proves nothing: %v", err)
	}
	if !strings.Contains(receipt.Backups, h.master(t).Primary()) {
		t.Errorf("the receipt does not name the master key: %s", receipt.Backups)
	}
	master := h.master(t)
	if _, err := (&vault.Rotation{Store: h, Master: master}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	deleted, err := master.DeleteOthers()
	if err != nil || len(deleted) != 1 {
		t.Fatalf("deleted %v, %v", deleted, err)
	}
	if err := open(h.master(t)); err == nil {
		t.Error("the backup opens without the master key of then")
	}
	if after := receipt.KeysDeleted(deleted); after.SHA256 == sum || !strings.Contains(after.Backups, deleted[0]) {
		t.Errorf("%+v", after)
	}
	h.opensOnly(t, "c1", "c3")
}

// opensOnly checks that these connections, and none else, are there and open.
func (h *house) opensOnly(t *testing.T, ids ...string) {
	t.Helper()
	list, _, err := h.Connections(t.Context(), integration.Filter{})
	if err != nil || len(list) != len(ids) {
		t.Fatalf("%d connections, %v", len(list), err)
	}
	s := newSealer(t, h, h.master(t))
	for _, id := range ids {
		c, credentials, err := h.Connection(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Open(t.Context(), vault.Binding{Tenant: c.Tenant, Connection: id, Field: "token"}, credentials[0].Sealed)
		if err != nil || got.Reveal() != "secret of "+id {
			t.Errorf("%s: %q, %v", id, got.Reveal(), err)
		}
	}
}

// backup copies the database as it is.
func backup(t *testing.T, h *house) *sqlite.Store {
	t.Helper()
	if err := h.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(filepath.Dir(h.keyset), "sallyport.db"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// failing fails after some batches.
type failing struct {
	*sqlite.Store
	left int
}

func (f *failing) EraseRecords(ctx context.Context, tenant string, most int) (integration.Erasure, bool, error) {
	if f.left--; f.left < 0 {
		return integration.Erasure{}, false, errors.New("the disk is full")
	}
	return f.Store.EraseRecords(ctx, tenant, most)
}

// R2.7: erasing that was interrupted says so and can be run again.
func TestEraseAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	if _, err := (&vault.Erasing{From: &failing{Store: h.Store}}).Tenant(t.Context(), "t0", "test"); err == nil || !strings.Contains(err.Error(), "run it again") {
		t.Errorf("%v", err)
	}
	if _, _, err := h.Connection(t.Context(), "c0"); !errors.Is(err, integration.ErrNotFound) {
		t.Errorf("the credentials were not first: %v", err)
	}
	if receipt, err := (&vault.Erasing{From: h}).Tenant(t.Context(), "t0", "test"); err != nil || receipt.SHA256 == "" {
		t.Errorf("%+v, %v", receipt, err)
	}
}

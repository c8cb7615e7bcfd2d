package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// R2.7: what was erased is not left in the file or its log.
func TestErasedIsOverwritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sallyport.db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 20 {
		id := "e" + strings.Repeat("x", i+1)
		if _, err := s.Accept(t.Context(), &integration.Event{
			ID: id, Service: "stripe", Tenant: "acme", ExternalID: id, Type: "a", ReceivedAt: at, Status: integration.EventReceived,
			Payload: []byte(strings.Repeat("canary-payload ", 1000)),
		}); err != nil {
			t.Fatal(err)
		}
	}
	held := func() (n int) {
		for _, file := range []string{path, path + "-wal"} {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			n += bytes.Count(b, []byte("canary-payload"))
		}
		return n
	}
	if held() == 0 {
		t.Fatal("the file never held the payload: the test proves nothing")
	}
	if _, _, err := s.EraseRecords(t.Context(), "acme", 100); err != nil {
		t.Fatal(err)
	}
	if err := s.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := held(); n != 0 {
		t.Errorf("the file holds the payload %d times after it was erased", n)
	}
}

// R2.9: where a secret that leaked is used.
func TestLeak(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	seen := []integration.SecretSighting{
		{Service: "stripe", Environment: "production", Name: "api_key", Fingerprint: "aaaa", Reference: "env:KEY", FirstSeen: at, LastSeen: at},
		{Service: "stripe", Environment: "staging", Name: "api_key", Fingerprint: "aaaa", Reference: "env:KEY", FirstSeen: at, LastSeen: at},
		{Service: "stripe", Environment: "staging", Name: "api_key", Fingerprint: "bbbb", Reference: "env:OLD", FirstSeen: at, LastSeen: at},
	}
	if err := s.SeeSecrets(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	if got, err := s.SightingsOf(t.Context(), "aaaa"); err != nil || !reflect.DeepEqual(got, seen[:2]) {
		t.Errorf("%+v, %v", got, err)
	}
	key := integration.TenantKey{ID: "k1", Tenant: "acme", Sealed: []byte("k"), Master: "1", CreatedAt: at}
	if err := s.PutTenantKey(t.Context(), key, ""); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"c1", "c2", "c3"} {
		fingerprint := "cccc"
		if id == "c3" {
			fingerprint = "dddd"
		}
		if err := s.CreateConnection(t.Context(), integration.ConnectionChange{
			Connection: integration.Connection{ID: id, Tenant: "acme", Service: "s", State: integration.ConnectionConnected, UpdatedAt: at},
			Put:        []integration.Credential{{Connection: id, Field: "token", Sealed: []byte("x"), KeyID: "k1", Fingerprint: fingerprint, CreatedAt: at}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if ids, err := s.ConnectionsWith(t.Context(), "cccc", 10); err != nil || !reflect.DeepEqual(ids, []string{"c1", "c2"}) {
		t.Errorf("%v, %v", ids, err)
	}
	if ids, err := s.ConnectionsWith(t.Context(), "aaaa", 10); err != nil || ids != nil {
		t.Errorf("of another: %v, %v", ids, err)
	}
}

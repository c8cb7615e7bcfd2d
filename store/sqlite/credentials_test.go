package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
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

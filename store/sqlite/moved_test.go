package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/integration"
)

// R0.5: an event is not acknowledged into a file that is gone; putting it back
// mends it.
func TestFileMovedAway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "moved.db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	accept := func(id string) error {
		_, err := s.Accept(t.Context(), &integration.Event{
			ID: id, Service: "stripe", ExternalID: id, Type: "t", Status: integration.EventReceived, Payload: []byte("{}"),
			ReceivedAt: s.options.Now(), DueAt: s.options.Now(),
		})
		return err
	}
	if err := accept("a"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := accept("b"); !errors.Is(err, errFileGone) {
		t.Errorf("with the file gone: %v", err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, errFileGone) {
		t.Errorf("ping with the file gone: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := accept("c"); !errors.Is(err, errFileGone) {
		t.Errorf("with another file in its place: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if err := accept("d"); err != nil {
		t.Errorf("with the file back: %v", err)
	}
	events, _, err := s.Events(t.Context(), integration.Filter{})
	if err != nil || len(events) != 2 {
		t.Errorf("%d events, %v; want the two that were acknowledged", len(events), err)
	}
}

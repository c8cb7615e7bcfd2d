package sqlite

import (
	"path/filepath"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/store/storetest"
)

var _ storetest.Store = (*Store)(nil)

func TestMain(m *testing.M) {
	crashChildIfAsked()
	goleak.VerifyTestMain(m)
}

// openTest opens a store in a folder of its own and closes it with the test.
func openTest(t testing.TB, o Options) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "test.db"), o)
}

func openAt(t testing.TB, path string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// The suite of every store.
func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		var failing atomic.Pointer[error]
		s := openTest(t, Options{})
		s.writer.failCommits(&failing)
		return storetest.Harness{
			Store: s,
			Queue: s.EventQueue(),
			CallQueue: func(s storetest.Store) lease.Queue[integration.Call, integration.CallOutcome] {
				one, ok := s.(*Store)
				if !ok {
					t.Fatalf("a %T", s)
				}
				return one.CallQueue()
			},
			ConnectionQueue: func(s storetest.Store) lease.Queue[integration.Connection, integration.ConnectionOutcome] {
				one, ok := s.(*Store)
				if !ok {
					t.Fatalf("a %T", s)
				}
				return one.ConnectionQueue()
			},
			Commits: func() int64 { return s.Stats().Commits },
			FailCommits: func(err error) {
				if err == nil {
					failing.Store(nil)
					return
				}
				failing.Store(&err)
			},
			Reopen: func(t testing.TB) storetest.Store {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				return openAt(t, s.path, Options{})
			},
		}
	})
}

// failCommits makes commits fail with the error pointed to, while there is one.
func (w *writer) failCommits(failing *atomic.Pointer[error]) {
	end := func() error {
		if err := failing.Load(); err != nil {
			return *err
		}
		return nil
	}
	w.beforeEnd.Store(&end)
}

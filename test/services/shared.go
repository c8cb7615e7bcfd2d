package services

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// shared is what a whole test run shares: it takes a test's place.
type shared struct {
	testing.TB // nil; what is not here is not used

	mu   sync.Mutex
	ends []func()
}

// Helper has nothing to do.
func (*shared) Helper() {}

// Context lives as long as the process.
func (*shared) Context() context.Context { return context.Background() }

// Cleanup keeps f for EndShared.
func (s *shared) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = append(s.ends, f)
}

// Fatalf ends the test run.
func (*shared) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Fatal ends the test run.
func (*shared) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// Errorf ends the test run: nothing that all share may fail.
func (*shared) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

var (
	together   = &shared{}
	onePostgre = sync.OnceValue(func() *Server { return Postgres(together) })
)

// SharedPostgres is a PostgreSQL that all tests of a package share, each with a
// database of its own making. It is not to be stopped or killed; EndShared, in
// TestMain after the tests, ends it.
func SharedPostgres(tb testing.TB) *Server {
	tb.Helper()
	return onePostgre()
}

// EndShared ends what tests shared.
func EndShared() {
	together.mu.Lock()
	ends := together.ends
	together.ends = nil
	together.mu.Unlock()
	for i := len(ends) - 1; i >= 0; i-- {
		ends[i]()
	}
}

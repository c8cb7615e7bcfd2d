package disk

import (
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/test/services"
)

// R5.5, R5.6: a PostgreSQL that hangs, as it does on a disk that hangs, is
// answered for in time, and what it committed late is known when it is sent
// again.
func TestSlowDiskPostgreSQL(t *testing.T) {
	t.Parallel()
	server := services.Postgres(t)
	s := start(t, server.DSN())
	s.until(http.StatusOK, 1000)
	hangsAndRecovers(t, s, server.Freeze, server.Thaw)
	s.count()
}

// R5.5, R5.6: an SQLite file that another process writes to for long.
func TestSlowDiskSQLite(t *testing.T) {
	t.Parallel()
	s := start(t, filepath.Join(t.TempDir(), "slow.db"))
	s.until(http.StatusOK, 1000)
	var held *os.File
	hangsAndRecovers(t, s,
		func() { held = holdWriters(t, s.database) },
		func() { held.Close() }) // which gives the lock back
	s.count()
}

// hangsAndRecovers sends events while the database hangs and after.
func hangsAndRecovers(t *testing.T, s *provider, freeze, thaw func()) {
	t.Helper()
	freeze()
	const senders = 20
	var sending sync.WaitGroup
	var mu sync.Mutex
	refused, longest := 0, time.Duration(0)
	for range senders {
		sending.Go(func() {
			status, took := s.send(1000)
			mu.Lock()
			defer mu.Unlock()
			longest = max(longest, took)
			if status == http.StatusServiceUnavailable {
				refused++
			}
		})
	}
	sending.Wait()
	if refused != senders {
		t.Errorf("%d of %d events were not refused while nothing could be kept", senders-refused, senders)
	}
	if longest > deadline {
		t.Errorf("a sender waited %s, and the provider gives up after %s", longest, deadline)
	}
	if status := s.ready(); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d while nothing can be kept", status)
	}
	thaw()
	s.until(http.StatusOK, 1000)
	for id, payload := range s.refused() { // as the provider does
		if status, _ := s.sendEvent(id, payload); status != http.StatusOK {
			t.Errorf("%s, sent again, was answered %d", id, status)
		}
	}
	t.Logf("%d events refused while nothing could be kept, the longest wait %s", refused, longest.Round(time.Millisecond))
}

// holdWriters takes the lock that an SQLite process holds while it writes:
// byte 120 of the -shm file, WAL_WRITE_LOCK of
// https://www.sqlite.org/walformat.html#wal_locks.
func holdWriters(t *testing.T, database string) *os.File {
	t.Helper()
	file, err := os.OpenFile(database+"-shm", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: 120, Len: 1}
	for began := time.Now(); ; { // the gateway may be writing
		err := syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &lock)
		if err == nil {
			return file
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("the lock of %s-shm: %v", database, err)
		}
	}
}

package disk

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/test/services"
)

const megabyte = 1 << 20

// R0.5, R5.6: a full disk under SQLite. Senders are told to come again, also
// when there is not a byte left; the disk grows, and all goes on.
func TestFullDiskSQLite(t *testing.T) {
	t.Parallel()
	d := mount(t, t.TempDir(), 6*megabyte)
	s := start(t, filepath.Join(d.path, "full.db"))
	fillsAndRecovers(t, s, d, 64*megabyte)
	s.count()
	intact(t, s.database)
}

// intact has SQLite's own program look at the file, where there is one.
func intact(t *testing.T, database string) {
	t.Helper()
	program, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Log("there is no sqlite3 here: the file was read to its end, but not checked otherwise")
		return
	}
	out, err := exec.CommandContext(t.Context(), program, database, "PRAGMA integrity_check").CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Errorf("integrity: %v: %s", err, out)
	}
}

// R0.5, R5.6: a full disk under the tables of PostgreSQL, its log being on
// another: it refuses what it has no room for.
func TestFullDiskPostgreSQLTables(t *testing.T) {
	t.Parallel()
	var d *disk
	server := services.PostgresOn(t, func(data string) { d = move(t, filepath.Join(data, "base"), 40*megabyte) })
	s := start(t, server.DSN())
	fillsAndRecovers(t, s, d, 200*megabyte)
	s.count()
}

// R0.5, R5.6: a full disk under the write-ahead log of PostgreSQL, which dies of
// it, as it must, and does not come back before it has room. Whoever starts it
// again needs not touch the gateway.
func TestFullDiskPostgreSQLLog(t *testing.T) {
	t.Parallel()
	var d *disk
	server := services.PostgresOn(t, func(data string) { d = move(t, filepath.Join(data, "pg_wal"), 34*megabyte) },
		"max_wal_size=1GB", "checkpoint_timeout=1h")
	s := start(t, server.DSN())
	s.until(http.StatusOK, 10_000)
	s.until(http.StatusServiceUnavailable, 900_000)
	for range 20 {
		if _, took := s.send(20_000); took > deadline {
			t.Errorf("the sender waited %s to be told to come again", took)
		}
	}
	server.Stop() // where it still tries
	if status := s.ready(); status != http.StatusServiceUnavailable {
		t.Errorf("without its database /readyz answers %d", status)
	}
	d.grow(200 * megabyte)
	server.Start()
	s.until(http.StatusOK, 10_000)
	for range 50 {
		if status, _ := s.send(10_000); status != http.StatusOK {
			t.Errorf("with a larger disk an event was answered %d\n%s", status, tail(s.p.Log()))
		}
	}
	s.count()
}

// fillsAndRecovers sends events until the disk is full, sees that what comes
// then is refused, has the disk grow and sees that events are taken again,
// without anybody starting anything.
func fillsAndRecovers(t *testing.T, s *provider, d *disk, larger int) {
	t.Helper()
	s.until(http.StatusOK, 10_000)
	free := d.fill() // some of what is free is kept for it by the database's own files
	s.until(http.StatusServiceUnavailable, 20_000)
	for range 20 {
		if _, took := s.send(20_000); took > deadline {
			t.Errorf("the sender waited %s to be told to come again", took)
		}
	}
	before := len(s.acknowledged)
	free()
	s.until(http.StatusOK, 10_000) // what was removed is enough to go on
	s.until(http.StatusServiceUnavailable, 100_000)
	d.grow(larger)
	s.until(http.StatusOK, 10_000)
	for range 50 {
		if status, _ := s.send(10_000); status != http.StatusOK {
			t.Errorf("with a larger disk an event was answered %d\n%s", status, tail(s.p.Log()))
		}
	}
	if status := s.ready(); status != http.StatusOK {
		t.Errorf("with a larger disk /readyz answers %d", status)
	}
	if len(s.acknowledged) < before+50 {
		t.Errorf("%d events were acknowledged before, %d after", before, len(s.acknowledged))
	}
}

// move puts a folder onto a disk of its own, at the same place.
func move(t *testing.T, folder string, bytes int) *disk {
	t.Helper()
	old := folder + ".old"
	if err := os.Rename(folder, old); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(old)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, info.Mode().Perm()); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "chown", "--reference="+old, folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d := mount(t, folder, bytes)
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", old+"/.", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return d
}

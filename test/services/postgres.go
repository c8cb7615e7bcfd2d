package services

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Postgres starts an empty PostgreSQL with the database and the superuser
// postgres, which needs no password. It does not wait for the disk, so a cut of
// the power would lose data; being stopped or killed does not. Settings such as
// "fsync=on" come after ours and win.
func Postgres(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	return PostgresOn(tb, nil, settings...)
}

// PostgresOn is Postgres whose data folder was handed to place after it was
// filled and before the server starts, to move parts of it to other disks.
func PostgresOn(tb testing.TB, place func(data string), settings ...string) *Server {
	tb.Helper()
	initdb, postgres := program(tb, "initdb"), program(tb, "postgres")
	folder, who, err := ownFolder()
	if err != nil {
		tb.Fatalf("postgres: %v", err)
	}
	tb.Cleanup(func() { os.RemoveAll(folder) })
	data := filepath.Join(folder, "data")
	// The server looks for its files beside its own program; initdb does too.
	prepare := as(who, exec.CommandContext(tb.Context(), initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"))
	prepare.Dir = folder
	if out, err := prepare.CombinedOutput(); err != nil {
		tb.Fatalf("initdb: %v\n%s", err, out)
	}
	if place != nil {
		place(data)
	}
	s := &Server{tb: tb, name: "postgres", gentle: syscall.SIGINT, answers: accepts}
	s.command = func() *exec.Cmd {
		cmd := as(who, exec.Command(postgres, "-D", data, "-p", strconv.Itoa(s.port), //nolint:noctx // it ends with the test
			"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=200"))
		for _, setting := range settings {
			cmd.Args = append(cmd.Args, "-c", setting)
		}
		cmd.Dir = folder
		return cmd
	}
	return launch(tb, s, func(port int) { s.url = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port) })
}

// ownFolder makes a folder of the user PostgreSQL runs as: it refuses to be
// root. who is nil when that is the user we are.
func ownFolder() (folder string, who *syscall.Credential, err error) {
	if folder, err = os.MkdirTemp("", "sallyport-postgres-"); err != nil || os.Getuid() != 0 {
		return folder, nil, err
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		who = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return folder, who, os.Chown(folder, int(uid), int(gid))
	}
	return folder, nil, errors.New("it does not run as root, and there is neither a user postgres nor a user nobody here")
}

func as(who *syscall.Credential, cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	return cmd
}

// accepts begins a session as a client does: the start-up message of protocol
// 3.0, to which a server that is ready answers R (authentication) and one that
// still starts answers E (an error).
func accepts(_ context.Context, conn net.Conn) error {
	const parameters = "user\x00postgres\x00database\x00postgres\x00\x00"
	hello := binary.BigEndian.AppendUint32(nil, uint32(8+len(parameters)))
	hello = binary.BigEndian.AppendUint32(hello, 3<<16)
	if _, err := conn.Write(append(hello, parameters...)); err != nil {
		return err
	}
	kind := make([]byte, 1)
	if _, err := io.ReadFull(conn, kind); err != nil {
		return err
	}
	if kind[0] != 'R' {
		return errors.New("it is still starting")
	}
	return nil
}

package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// Redis starts an empty Redis that keeps nothing on disk: one that was stopped
// has forgotten everything, which is the harder case for those who use it.
func Redis(tb testing.TB) *Server {
	tb.Helper()
	binary, folder := program(tb, "redis-server"), tb.TempDir()
	s := &Server{tb: tb, name: "redis-server", gentle: syscall.SIGTERM, answers: pong}
	s.command = func() *exec.Cmd {
		return exec.Command(binary, //nolint:noctx // it ends with the test
			"--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", folder,
			"--save", "", "--appendonly", "no", "--daemonize", "no")
	}
	return launch(tb, s, func(port int) { s.url = fmt.Sprintf("redis://127.0.0.1:%d", port) })
}

// pong asks Redis whether it is there.
func pong(_ context.Context, conn net.Conn) error {
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	answer := make([]byte, len("+PONG"))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if string(answer) != "+PONG" {
		return errors.New("it is not ready yet: " + string(answer))
	}
	return nil
}

package services_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/test/services"
)

// say sends Redis a line and returns the first line of the answer.
func say(t *testing.T, addr, line string) (string, error) {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(answer), err
}

func TestRedisStopsAndStartsAgain(t *testing.T) {
	t.Parallel()
	s := services.Redis(t)
	for _, end := range []func(){s.Stop, s.Kill} {
		if answer, err := say(t, s.Addr(), "SET a 1"); answer != "+OK" {
			t.Fatalf("%q, %v", answer, err)
		}
		end()
		if s.PID() != 0 {
			t.Error("it has a process still")
		}
		if _, err := say(t, s.Addr(), "PING"); err == nil {
			t.Fatal("it answers after its end")
		}
		s.Start()
		if answer, err := say(t, s.Addr(), "EXISTS a"); answer != ":0" {
			t.Fatalf("%q, %v: want an empty server", answer, err)
		}
	}
	if want := "redis://" + s.Addr(); s.URL() != want {
		t.Errorf("URL %q, want %q", s.URL(), want)
	}
}

func TestPostgresStopsAndStartsAgain(t *testing.T) {
	t.Parallel()
	s := services.Postgres(t)
	for _, end := range []func(){s.Stop, s.Kill} {
		end()
		if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", s.Addr()); err == nil {
			conn.Close()
			t.Fatal("it listens after its end")
		}
		s.Start() // returns once it lets clients in
	}
	if !strings.HasPrefix(s.DSN(), "postgres://postgres@127.0.0.1:") {
		t.Errorf("DSN %q", s.DSN())
	}
}

// A test process that is killed leaves no server behind.
func TestEndsWithTheTestProcess(t *testing.T) {
	t.Parallel()
	if os.Getenv("SERVICES_TEST_CHILD") != "" {
		s := services.Redis(t)
		fmt.Printf("addr %s\n", s.Addr())
		select {} // until killed
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.run=^TestEndsWithTheTestProcess$", "-test.v")
	cmd.Env = append(os.Environ(), "SERVICES_TEST_CHILD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var addr string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if after, ok := strings.CutPrefix(lines.Text(), "addr "); ok {
			addr = after
			break
		}
	}
	if addr == "" {
		t.Fatal("the child said no address")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || os.IsTimeout(err) {
		t.Errorf("read %d, %v: want the end of the connection, as the server ends", n, err)
	}
	_ = cmd.Wait()
}

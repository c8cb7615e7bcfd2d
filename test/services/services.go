// Package services starts private servers for tests: a real Redis, a real
// PostgreSQL. Each listens on a free port of the loopback address, keeps its
// files in a folder of the test, and ends with it, also when the test process
// is killed. A test may stop, kill and start its server again on the same port.
//
// The programs are found, and on Debian installed, by scripts/services.
package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to answer, or to end.
const patience = 30 * time.Second

// Server is one running server. Its methods end the test when they fail.
type Server struct {
	tb      testing.TB
	name    string
	port    int
	url     string
	command func() *exec.Cmd
	answers func(context.Context, net.Conn) error // whether it is ready for clients
	gentle  syscall.Signal                        // ends it in good order

	mu    sync.Mutex
	child *child // nil: not running
}

// child is one process.
type child struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it is gone
	said  *tail
}

// URL is the address for clients: redis://127.0.0.1:port, or
// postgres://postgres@127.0.0.1:port/postgres.
func (s *Server) URL() string { return s.url }

// DSN is URL, by the name that databases use.
func (s *Server) DSN() string { return s.url }

// Addr is host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// PID is the server's process, 0 when it is not running.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil {
		return 0
	}
	return s.child.cmd.Process.Pid
}

// Stop ends the server in good order and waits until it is gone. A server that
// is not running stays so.
func (s *Server) Stop() { s.tb.Helper(); s.end(s.gentle) }

// Kill ends the server as kill -9 does.
func (s *Server) Kill() { s.tb.Helper(); s.end(syscall.SIGKILL) }

// Start starts a stopped server on its port and waits until it answers.
func (s *Server) Start() {
	s.tb.Helper()
	if err := s.start(); err != nil {
		s.tb.Fatalf("%s: %v", s.name, err)
	}
}

func (s *Server) end(signal syscall.Signal) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil {
		return
	}
	_ = s.child.cmd.Process.Signal(signal)
	select {
	case <-s.child.ended:
	case <-time.After(patience):
		_ = s.child.cmd.Process.Kill()
		<-s.child.ended
		s.tb.Errorf("%s did not end within %s of %s:\n%s", s.name, patience, signal, s.child.said)
	}
	s.child = nil
}

func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child != nil {
		return errors.New("it is running already")
	}
	c, err := run(s.command())
	if err != nil {
		return err
	}
	if err := s.ready(c); err != nil {
		_ = c.cmd.Process.Kill()
		<-c.ended
		return fmt.Errorf("%w; it said:\n%s", err, c.said)
	}
	s.child = c
	return nil
}

// ready waits until the server answers.
func (s *Server) ready(c *child) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	var err error
	for {
		if err = s.ask(ctx); err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-c.ended:
			return fmt.Errorf("it ended: %s", c.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

func (s *Server) ask(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	return s.answers(ctx, conn)
}

// run starts a process that ends with this one. The kernel takes the end of the
// thread that started it for our end, so that thread waits for it.
func run(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, ended: make(chan struct{}), said: &tail{}}
	cmd.Stdout, cmd.Stderr = c.said, c.said
	endWithUs(cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait()
		close(c.ended)
	}()
	return c, <-started
}

// launch starts a new server, on another port when the one found free was taken
// meanwhile, and ends it with the test.
func launch(tb testing.TB, s *Server, at func(port int)) *Server {
	tb.Helper()
	var err error
	for range 5 {
		if s.port, err = freePort(tb.Context()); err != nil {
			break
		}
		at(s.port)
		if err = s.start(); err == nil {
			tb.Cleanup(func() { s.end(syscall.SIGKILL) })
			return s
		}
	}
	tb.Fatalf("%s: %v", s.name, err)
	return nil
}

func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

var (
	found   = map[string]string{}
	foundMu sync.Mutex
)

// program is where a program is; scripts/services finds it.
func program(tb testing.TB, name string) string {
	tb.Helper()
	foundMu.Lock()
	defer foundMu.Unlock()
	if p := found[name]; p != "" {
		return p
	}
	root, err := root()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(root, "scripts", "services"), "path", name) //nolint:noctx // an installation that is cut off leaves a broken one
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("%s: scripts/services: %v\n%s", name, err, &said)
	}
	found[name] = strings.TrimSpace(string(out))
	return found[name]
}

// root is the module's folder; a test runs in its package's.
func root() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		if parent := filepath.Dir(folder); parent != folder {
			folder = parent
			continue
		}
		return "", errors.New("scripts/services is found from within the module only, and there is no go.mod above this folder")
	}
}

// tail keeps the last of what a server said.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-4096):]
	return len(p), nil
}

// String is what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

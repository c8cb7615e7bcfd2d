// Package gateway builds the sallyport binary once per test run and starts it
// as a process of its own, for tests that must see it as its users do: its
// output, its exit, its death.
package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	buildOnce sync.Once
	buildPath string
	errBuild  error
)

// Binary is the path of the sallyport binary, built from this tree with the
// race detector. The file stays for the length of the test run.
func Binary(t testing.TB) string {
	t.Helper()
	buildOnce.Do(func() {
		dir, err := os.MkdirTemp("", "sallyport-test-*")
		if err != nil {
			errBuild = err
			return
		}
		buildPath = filepath.Join(dir, "sallyport")
		cmd := exec.CommandContext(context.Background(), "go", "build", "-race", "-o", buildPath, "github.com/sallyport/sallyport/cmd/sallyport")
		if out, err := cmd.CombinedOutput(); err != nil {
			errBuild = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if errBuild != nil {
		t.Fatal(errBuild)
	}
	return buildPath
}

// Clean removes what Binary built; call it at the end of TestMain.
func Clean() {
	if buildPath != "" {
		os.RemoveAll(filepath.Dir(buildPath))
	}
}

// Process is a running gateway.
type Process struct {
	Address string // host:port it listens on
	cmd     *exec.Cmd
	log     *lockedBuffer
	exited  chan error
}

// Options of Start.
type Options struct {
	Plans    string   // folder
	Database string   // file, or postgres://…
	Env      []string // NAME=value, added to an otherwise empty environment
	Args     []string // further flags
}

// Start runs "sallyport serve" and waits until it says where it listens.
func Start(t testing.TB, o Options) *Process {
	t.Helper()
	database := o.Database
	if !strings.Contains(database, "://") {
		database = "sqlite:" + database
	}
	args := append([]string{
		"serve", "--plans", o.Plans, "--environment", "development",
		"--listen", "127.0.0.1:0", "--database", database,
	}, o.Args...)
	cmd := exec.CommandContext(context.Background(), Binary(t), args...) // Kill and Stop end it
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, o.Env...)
	p := &Process{cmd: cmd, log: &lockedBuffer{}, exited: make(chan error, 1)}
	cmd.Stderr = p.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first := make(chan string, 1)
	go func() {
		line, _ := lines.ReadString('\n')
		first <- line
		_, _ = lines.WriteTo(p.log)
		p.exited <- cmd.Wait()
	}()
	t.Cleanup(p.Kill)
	select {
	case line := <-first:
		fields := strings.Fields(line)
		if len(fields) == 0 {
			t.Fatalf("the gateway did not start:\n%s", p.Log())
		}
		p.Address = strings.TrimPrefix(fields[len(fields)-1], "http://")
	case <-time.After(30 * time.Second):
		t.Fatalf("the gateway said nothing in 30 s:\n%s", p.Log())
	}
	return p
}

// URL is the address of a path on the gateway.
func (p *Process) URL(path string) string { return "http://" + p.Address + path }

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is what it has written so far.
func (p *Process) Log() string { return p.log.String() }

// Kill ends it at once, as a power cut would, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	p.wait()
}

// Abort has it die with the stacks of all its goroutines in its log, as a crash
// does, and waits until it is gone.
func (p *Process) Abort() error {
	err := p.cmd.Process.Signal(syscall.SIGQUIT)
	p.wait()
	return err
}

// Stop asks it to stop and returns its exit error, if any.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-p.exited:
		p.exited <- err
		return err
	case <-ctx.Done():
		return fmt.Errorf("did not stop: %w", ctx.Err())
	}
}

func (p *Process) wait() { err := <-p.exited; p.exited <- err }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
)

// console is a program in a real pseudo terminal, and what its screen shows.
type console struct {
	t      *testing.T
	cmd    *exec.Cmd
	tty    *os.File
	screen vt10x.Terminal

	mu      sync.Mutex
	changed chan struct{} // closed and replaced with every output
	all     strings.Builder
}

const patience = 30 * time.Second

// startConsole runs sallyport in a folder, in a terminal of 120 columns.
func startConsole(t *testing.T, dir string, env []string, args ...string) *console {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args = append([]string{"sallyport"}, args...)
	cmd.Dir = dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "TERM=") || strings.HasPrefix(e, "ACCESSIBLE=") || strings.HasPrefix(e, "NO_COLOR=")
	}), env...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 45, Cols: 120})
	if err != nil {
		t.Fatal(err)
	}
	c := &console{t: t, cmd: cmd, tty: tty, changed: make(chan struct{})}
	c.screen = vt10x.New(vt10x.WithSize(120, 45), vt10x.WithWriter(tty))
	t.Cleanup(func() { _ = tty.Close() })
	go c.read()
	return c
}

func (c *console) read() {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.tty.Read(buf)
		c.mu.Lock()
		_, _ = c.screen.Write(buf[:n])
		c.all.Write(buf[:n])
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// see waits until the screen shows a text.
func (c *console) see(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		c.mu.Lock()
		shows, changed := c.screen.String(), c.changed
		c.mu.Unlock()
		if strings.Contains(shows, text) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			c.t.Fatalf("the screen never shows %q:\n%s", text, shows)
		}
	}
}

func (c *console) press(keys string) {
	c.t.Helper()
	if _, err := c.tty.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

// ends waits for the program and returns its exit code.
func (c *console) ends() int {
	c.t.Helper()
	done := make(chan error, 1)
	go func() { done <- c.cmd.Wait() }() // an exit code is no failure here
	select {
	case err := <-done:
		c.t.Log("it ended:", err)
		return c.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		c.t.Fatalf("it does not end:\n%s", c.screen.String())
		return -1
	}
}

func nothingIn(t *testing.T, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("something was written: %v %v", left, err)
	}
}

func readFile(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	enter  = "\r"
	back   = "\x1b[Z" // shift+tab
	ctrlC  = "\x03"
	down   = "\x1b[B"
	kill   = "\x15" // ctrl+u: empties a line
	sample = "Refund a charge when a customer complains"
)

// R8.1: the whole interview, with a step back.
func TestInterview(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startConsole(t, dir, []string{"TERM=xterm-256color"}, "plan", "stripe")
	c.see("What should it do, in a sentence?")
	c.press(enter)
	c.see("write something")
	c.press("Charge customers for invoices and keep invoice status in step" + enter)
	c.see("Which operations does it need?")
	c.see("[•] POST /v1/invoices ")
	c.see("--endpoint")
	c.press(enter)
	c.see("Which events should reach you?")
	c.press(back)
	c.see("Which operations does it need?")
	c.press(enter)
	c.see("Which events should reach you?")
	c.press(enter)
	c.see("Where does an event say which of your customers it is about?")
	c.press(kill + "data.object" + enter)
	c.see("json:a.b.c, header:NAME, form:KEY or query:KEY")
	c.press(kill + "json:account" + enter)
	c.see("Which address of yours receives the events?")
	c.press(kill + "https://app.example.com/refunds" + enter)
	c.see("Which environments do you have?")
	c.press(" staging" + enter)
	c.see("Who owns this integration?")
	c.press("payments" + enter)
	c.see("Build a client, use the provider's SDK, or buy?")
	c.press(back)
	c.see("Who owns this integration?")
	c.press("-oncall" + enter)
	c.see("Build a client, use the provider's SDK, or buy?")
	nothingIn(t, dir)
	c.press(enter)
	c.see("Write integrations/stripe.yaml?")
	nothingIn(t, dir)
	c.press(enter)
	c.see("wrote integrations/stripe.yaml")
	if code := c.ends(); code != 0 {
		t.Errorf("exit %d", code)
	}
	text := readFile(t, dir, "integrations", "stripe.yaml")
	for _, want := range []string{
		"call: POST /v1/invoices", "tenant: json:account", "https://app.example.com/refunds", "  staging:", "owner: payments-oncall", "invoice.paid:",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan lacks %q", want)
		}
	}
	if strings.Contains(text, "Who owns this integration") {
		t.Error("what was answered is still open")
	}
	readFile(t, dir, "integrations", "stripe.md")
}

// R8.1: whoever breaks off leaves nothing behind, wherever they are.
func TestInterviewIsBrokenOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env   string
		until func(c *console)
		keys  string
	}{
		"at the first question": {"TERM=xterm-256color", func(c *console) { c.see("Which operations does it need?") }, ctrlC},
		"at the end": {"TERM=xterm-256color", func(c *console) {
			for _, q := range []string{"Which operations", "Which environments", "Who owns", "Build a client"} {
				c.see(q)
				c.press(enter)
			}
			c.see("Write integrations/stripe.yaml?")
		}, ctrlC},
		"by saying no": {"TERM=xterm-256color", func(c *console) {
			for _, q := range []string{"Which operations", "Which environments", "Who owns", "Build a client"} {
				c.see(q)
				c.press(enter)
			}
			c.see("Write integrations/stripe.yaml?")
		}, down + enter},
		"in plain lines":           {"TERM=dumb", func(c *console) { c.see("Which operations does it need?") }, ctrlC},
		"at the end of the input":  {"TERM=dumb", func(c *console) { c.see("Enter a number") }, "\x04"},
		"in the middle of a plain": {"TERM=dumb", func(c *console) { c.press("0\n"); c.see("Which environments do you have?") }, ctrlC},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			console := startConsole(t, dir, []string{c.env}, "plan", "stripe", "--need", sample, "--event", "charge.refunded",
				"--tenant", "json:account", "--destination", "app=https://app.example.com")
			c.until(console)
			console.press(c.keys)
			if code := console.ends(); code == 0 {
				t.Error("it ended as if all were well")
			}
			nothingIn(t, dir)
		})
	}
}

// R8.1: in a terminal that can't move the cursor, and for screen readers, the
// same questions come line by line.
func TestInterviewInPlainLines(t *testing.T) {
	t.Parallel()
	for _, env := range [][]string{{"TERM=dumb"}, {"TERM=xterm-256color", "ACCESSIBLE=1"}} {
		dir := t.TempDir()
		c := startConsole(t, dir, env, "plan", "stripe", "--need", sample, "--decision", "build")
		c.see("Which operations does it need?")
		c.see("Enter a number")
		c.press("0\n")
		c.see("Which environments do you have?")
		c.press("\n")
		c.see("Who owns this integration?")
		c.press("payments\n")
		c.see("Write integrations/stripe.yaml?")
		c.press("1\n")
		c.see("wrote integrations/stripe.yaml")
		if code := c.ends(); code != 0 {
			t.Errorf("%v: exit %d", env, code)
		}
		if text := readFile(t, dir, "integrations", "stripe.yaml"); !strings.Contains(text, "owner: payments") || !strings.Contains(text, "\n  development:") {
			t.Errorf("%v:\n%s", env, text)
		}
	}
}

// --yes and --quiet ask nothing, also at a terminal.
func TestNoInterview(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--yes", "--quiet"} {
		dir := t.TempDir()
		c := startConsole(t, dir, []string{"TERM=xterm-256color"}, "plan", "stripe", "--need", sample, flag)
		if code := c.ends(); code != 0 {
			t.Errorf("%s: exit %d", flag, code)
		}
		text := readFile(t, dir, "integrations", "stripe.yaml")
		for _, open := range []string{"Who owns this integration", "Is build the decision", "environments there are"} {
			if !strings.Contains(text, open) {
				t.Errorf("%s: %q is not open", flag, open)
			}
		}
	}
}

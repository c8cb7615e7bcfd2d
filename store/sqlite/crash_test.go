package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
)

// crashDatabase names the file that a child process writes to until it is
// killed.
const crashDatabase = "SALLYPORT_TEST_CRASH_DATABASE"

// crashChildIfAsked turns this process into the victim: eight goroutines that
// store events and print the id of each one acknowledged.
func crashChildIfAsked() {
	path := os.Getenv(crashDatabase)
	if path == "" {
		return
	}
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	for range 8 {
		go func() {
			for {
				e := &integration.Event{
					ID: uuid.Must(uuid.NewV7()).String(), Service: "stripe", ExternalID: "evt_" + uuid.NewString(), Type: "invoice.paid",
					ReceivedAt: time.Now(), Status: integration.EventReceived, Payload: []byte(strings.Repeat("x", 2600)),
				}
				if fresh, err := s.Accept(context.Background(), e); err != nil || !fresh {
					fmt.Fprintln(os.Stderr, fresh, err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println(e.ExternalID)
				mu.Unlock()
			}
		}()
	}
	select {} // until killed
}

// R0.5: whatever moment the process is killed at, each event it acknowledged
// is there once.
func TestKilledProcessKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	const rounds = 10
	path := filepath.Join(t.TempDir(), "crash.db")
	acknowledged := map[string]bool{}
	for range rounds {
		runAndKill(t, path, acknowledged)
	}
	if len(acknowledged) < rounds {
		t.Fatalf("only %d events in %d rounds: too few to prove anything", len(acknowledged), rounds)
	}
	s := openAt(t, path, Options{})
	var damage string
	if err := s.read.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&damage); err != nil || damage != "ok" {
		t.Errorf("integrity: %q, %v", damage, err)
	}
	stored := map[string]int{}
	for f := (integration.Filter{Limit: 500}); ; {
		events, next, err := s.Events(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			stored[e.ExternalID]++
		}
		if f.Cursor = next; next == "" {
			break
		}
	}
	for id := range acknowledged {
		if stored[id] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", id, stored[id])
		}
	}
	for id, n := range stored {
		if n != 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
	t.Logf("%d acknowledged, %d stored", len(acknowledged), len(stored))
}

// runAndKill starts the victim, lets it acknowledge a first event, kills it at
// a random moment after that and collects what it acknowledged.
func runAndKill(t *testing.T, path string, acknowledged map[string]bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), crashDatabase+"="+path)
	var problems strings.Builder
	child.Stderr = &problems
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err != nil { // a line cut off by the kill was not acknowledged
			break
		}
		acknowledged[strings.TrimSpace(line)] = true
		if n == 0 {
			kill := time.AfterFunc(time.Duration(rand.IntN(150))*time.Millisecond, func() { _ = child.Process.Kill() })
			defer kill.Stop()
		}
	}
	err = child.Wait()
	if problems.Len() > 0 {
		t.Fatalf("the victim failed: %v: %s", err, problems.String())
	}
}

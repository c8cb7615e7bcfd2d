//go:build unix

package redis_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/breaker"
)

// A Redis that takes the connection and says nothing holds a call up for a
// tenth of a second at most.
func TestRedisThatHangs(t *testing.T) {
	t.Parallel()
	w := begin(t, breaker.Config{Pause: time.Millisecond})
	w.open(w.one)
	w.becomes(w.one, breaker.HalfOpen)
	pid := w.server.PID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	begun := time.Now()
	pass, err := w.one.Allow(host)
	if took := time.Since(begun); took > 500*time.Millisecond {
		t.Errorf("the call waited %s", took)
	}
	if err != nil {
		t.Errorf("refused: %v", err)
	}
	pass.Done(breaker.Ignored, 0)
}

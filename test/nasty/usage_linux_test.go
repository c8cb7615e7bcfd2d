package nasty

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/test/gateway"
)

// used is what a process holds of the machine.
type used struct {
	peak  int // of memory, in bytes
	files int // open files and connections
}

func usage(t *testing.T, p *gateway.Process) used {
	t.Helper()
	var u used
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kB, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(text), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			u.peak = kB << 10
		}
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	u.files = len(files)
	return u
}

// mostMore is how much memory all nasty clients together may cost. The gateway
// of the tests has the race detector in it, which takes several times as much.
const mostMore = 300 << 20

// gaveBack sees that memory stayed bounded and that no connection is left.
func gaveBack(t *testing.T, p *gateway.Process, before used) {
	t.Helper()
	now := usage(t, p)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for began := time.Now(); now.files > before.files+5 && time.Since(began) < slack; now = usage(t, p) {
		<-again.C
	}
	if now.files > before.files+5 {
		t.Errorf("%d files and connections were open before, %d still are", before.files, now.files)
	}
	if more := now.peak - before.peak; more > mostMore {
		t.Errorf("memory grew by %d MB", more>>20)
	}
	t.Logf("memory at its peak %d MB before and %d MB after; %d files and connections open before, %d after", before.peak>>20, now.peak>>20, before.files, now.files)
}

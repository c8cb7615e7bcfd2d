package demo_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/demo"
)

type buffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	seen func(text string) // told of everything written so far
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.b.Write(p)
	if b.seen != nil {
		b.seen(b.b.String())
	}
	return n, err
}

// The whole product in one run: everything goes as the plan says, and no secret
// is printed.
func TestDemo(t *testing.T) {
	t.Parallel()
	var out buffer
	folder := t.TempDir()
	if err := demo.Run(t.Context(), demo.Config{Out: &out, For: time.Second, Folder: folder}); err != nil {
		t.Fatalf("%v\n%s", err, out.b.String())
	}
	text := out.b.String()
	for _, want := range []string{
		"594 operations", "POST /v1/invoices", "429", "again in", "503", "no answer", "duplicate", "forged", "replayed", "All went as the plan says.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the demo does not tell of %q", want)
		}
	}
	key, err := os.ReadFile(filepath.Join(folder, "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{string(key), "sk_test_", "whsec_"} {
		if strings.Contains(text, secret) {
			t.Errorf("the demo prints a secret that starts like %.8s", secret)
		}
	}
	for _, file := range []string{"integrations/stripe.yaml", "stripe.html", "sallyport.db"} {
		if info, err := os.Stat(filepath.Join(folder, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// Ended by the user, it still says what happened.
func TestDemoEndedByHand(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	out := buffer{seen: func(text string) {
		if strings.Contains(text, "Ctrl-C ends it.") {
			end()
		}
	}}
	if err := demo.Run(ctx, demo.Config{Out: &out, Folder: t.TempDir()}); err != nil {
		t.Fatalf("%v\n%s", err, out.b.String())
	}
	if !strings.Contains(out.b.String(), "All went as the plan says.") {
		t.Errorf("no summary:\n%s", out.b.String())
	}
}

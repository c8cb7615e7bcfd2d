package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/sandbox"
)

// R9.3: the example runs against the sandbox: stripe-go creates a customer over
// our client, and an event reaches the Go function, mapped.
func TestExample(t *testing.T) {
	box, address := startSandbox(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	events := newSandbox(t, "http://"+listener.Addr().String()+"/api/webhooks/stripe")
	folder := planFor(t, address)
	lines := capture(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, listener, sallyport.Config{
			Plans: folder, Database: "sqlite:" + filepath.Join(t.TempDir(), "example.db"),
			LookupEnv: func(name string) (string, bool) {
				v, ok := map[string]string{"STRIPE_API_KEY": apiKey, "STRIPE_WEBHOOK_SECRET": webhookSecret}[name]
				return v, ok
			},
		})
	}()
	if line := <-lines; !strings.HasPrefix(line, "created cus_") {
		t.Fatalf("first line %q", line)
	}
	emitted, err := events.Emit(ctx, "invoice.paid", sandbox.EmitOptions{Object: map[string]any{"amount_paid": 1990, "currency": "jpy", "status": "paid"}})
	if err != nil || !emitted.Accepted {
		t.Fatalf("emit: %+v, %v", emitted, err)
	}
	if line := <-lines; !strings.HasPrefix(line, "paid in_") || !strings.HasSuffix(line, " 1990 PAID") {
		t.Errorf("second line %q, want an amount without decimals: JPY has none", line)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	for _, request := range box.Requests() {
		if strings.Contains(fmt.Sprint(request), "from-the-plan") {
			t.Error("the SDK's dummy key reached the provider")
		}
	}
}

const (
	apiKey        = "sk_test_example"
	webhookSecret = "whsec_example"
)

func newSandbox(t *testing.T, webhooksTo string) *sandbox.Sandbox {
	t.Helper()
	p, err := plan.Load("integrations/stripe.yaml", catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	data, fixtures := embedded(t, p.Provider.Document.Embedded), embedded(t, p.Provider.Document.Fixtures)
	doc, err := openapi.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	box, err := sandbox.New(sandbox.Config{
		Plan: p, Document: doc, Fixtures: fixtures, WebhooksTo: webhooksTo, Seed: 1,
		Secrets: sandbox.Secrets{APIKeys: []integration.Secret{integration.NewSecret(apiKey)}, Webhook: integration.NewSecret(webhookSecret)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// embedded reads a file that the binary carries.
func embedded(t *testing.T, name string) []byte {
	t.Helper()
	r, err := catalog.OpenDocument(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// startSandbox serves the stand-in that takes the calls.
func startSandbox(t *testing.T) (*sandbox.Sandbox, string) {
	t.Helper()
	box := newSandbox(t, "")
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	return box, server.URL
}

// planFor is the example's plan with the sandbox's address in it.
func planFor(t *testing.T, address string) string {
	t.Helper()
	b, err := os.ReadFile("integrations/stripe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), "http://127.0.0.1:4010", address, 1)
	if text == string(b) {
		t.Fatal("the plan has no address to replace")
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "stripe.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// capture gives the lines the program prints.
func capture(t *testing.T) <-chan string {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stdout
	os.Stdout = writer
	lines := make(chan string, 100)
	var once sync.Once
	restore := func() { once.Do(func() { os.Stdout = before; writer.Close() }) }
	t.Cleanup(restore)
	go func() {
		defer close(lines)
		var text strings.Builder
		buffer := make([]byte, 4096)
		for {
			n, err := reader.Read(buffer)
			text.Write(buffer[:n])
			for {
				line, rest, ok := strings.Cut(text.String(), "\n")
				if !ok {
					break
				}
				lines <- line
				text.Reset()
				text.WriteString(rest)
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

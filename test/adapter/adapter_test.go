// Package adapter runs a generated adapter the way its owner would: in a module
// of its own, against a gateway, before the provider's stand-in.
package adapter

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/generate"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/sandbox"
)

// R3.8: an adapter generated from a plan that was drafted from Stripe's own
// document compiles in a module of its own; its own tests pass against a real
// gateway before the sandbox, endpoint by endpoint; and its webhook handler gets
// what the sandbox sends, mapped, once.
func TestStripeAdapter(t *testing.T) {
	t.Parallel()
	doc, fixtures := stripeDocument(t)
	drawn := drawPlan(t, doc)
	dir := writeModule(t, drawn)
	run(t, dir, nil, "vet", "./...")
	handler := startReceiver(t, dir)
	w := startWorld(t, drawn, doc, fixtures, handler.url)

	t.Run("endpoints", func(t *testing.T) {
		out := run(t, dir, []string{"SALLYPORT_URL=" + w.url, "SALLYPORT_KEY=" + w.key}, "test", "-v", "-count=1", "./stripe")
		if strings.Contains(out, "--- SKIP") || !strings.Contains(out, "--- PASS: TestEndpoints") {
			t.Fatalf("the endpoints were not tried:\n%s", out)
		}
		for key := range w.plan.Endpoints {
			if !strings.Contains(out, "--- PASS: TestEndpoints/"+key) {
				t.Errorf("%s did not pass:\n%s", key, out)
			}
		}
		w.sawEveryEndpoint(t)
	})
	t.Run("events", func(t *testing.T) {
		for i, kind := range w.events() {
			emitted, err := w.box.Emit(t.Context(), kind, marked(1000+i, false))
			if err != nil || !emitted.Accepted {
				t.Fatalf("%s: %+v, %v", kind, emitted, err)
			}
			got := handler.until(t, kind, 1000+i)
			if got.ID == "" || strings.HasPrefix(kind, "invoice.") && got.Data["status"] != "PAID" {
				t.Errorf("%s: the handler got %+v", kind, got)
			}
			if _, raw := got.Data["amount_due"]; raw {
				t.Errorf("%s: the provider's own field got through: %v", kind, got.Data)
			}
		}
		handler.refuses(t)
		for i, duplicate := range []bool{true, false} { // of one invoice, so in this order
			emitted, err := w.box.Emit(t.Context(), "invoice.paid", marked(2000+i, duplicate))
			if err != nil || !emitted.Accepted || duplicate != (len(emitted.Sent) == 2) {
				t.Fatalf("%+v, %v", emitted, err)
			}
		}
		handler.until(t, "invoice.paid", 2001)
		handler.once(t)
	})
}

// marked is an event that is known again by a number.
func marked(number int, duplicate bool) sandbox.EmitOptions {
	return sandbox.EmitOptions{
		Object:    map[string]any{"currency": "jpy", "amount_due": number, "status": "paid", "email": strconv.Itoa(number) + "@example.com"},
		Duplicate: duplicate,
	}
}

// need is what a plan is drawn for.
const need = "Create customers, create invoices, finalize them and send them; look at a customer and at an invoice; keep invoice status in step"

// stripeDocument is the embedded one.
func stripeDocument(t *testing.T) (*openapi.Document, []byte) {
	t.Helper()
	profile, err := catalog.Load("stripe")
	if err != nil {
		t.Fatal(err)
	}
	data, err := catalog.ReadDocument(profile.Document.Embedded)
	if err != nil {
		t.Fatal(err)
	}
	fixtures, err := catalog.ReadDocument(profile.Document.Fixtures)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return doc, fixtures
}

// drawPlan is a plan as "sallyport plan stripe" writes it.
func drawPlan(t *testing.T, doc *openapi.Document) string {
	t.Helper()
	profile, err := catalog.Load("stripe")
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := draft.Write(draft.Input{
		Service: "stripe", Need: need, Profile: profile, Document: doc, SpecFile: plan.EmbeddedSpec + profile.Document.Embedded, SpecSHA256: doc.SHA256,
		Endpoints: []string{"POST /v1/customers", "POST /v1/invoices", "POST /v1/invoices/{invoice}/finalize", "GET /v1/customers/{customer}", "GET /v1/invoices/{invoice}"},
		Events:    []string{"invoice.paid", "invoice.payment_failed", "customer.created"},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := plan.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// receiver is the program around the generated webhook handler.
const receiver = `package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"

	"example.com/product/stripe"
)

func print(context.Context, stripe.Event[json.RawMessage]) error { return nil }

func main() {
	out := json.NewEncoder(os.Stdout)
	h := stripe.Handlers{Other: print}
	HANDLERS
	door, err := stripe.NewWebhooks(h, os.Getenv("SIGNING_SECRET"))
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + l.Addr().String())
	panic(http.Serve(l, door))
}
`

var handlerField = regexp.MustCompile(`(?m)^\t(\w+) +func\(context\.Context, Event\[(\S+)\]\) error +// (\S+)$`)

// writeModule writes the adapter and a program that uses it into a module.
func writeModule(t *testing.T, text string) string {
	t.Helper()
	p, err := plan.Parse("stripe.yaml", []byte(text), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate.Go(p, generate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := generate.Write(filepath.Join(dir, "stripe"), files, false); err != nil {
		t.Fatal(err)
	}
	var handlers strings.Builder
	for _, f := range files {
		for _, m := range handlerField.FindAllStringSubmatch(string(f.Content), -1) {
			kind := m[2]
			if kind != "json.RawMessage" {
				kind = "stripe." + kind
			}
			handlers.WriteString("h." + m[1] + " = func(_ context.Context, e stripe.Event[" + kind + "]) error { return out.Encode(e) }\n")
		}
	}
	if strings.Count(handlers.String(), "\n") != len(p.Webhooks.Events) {
		t.Fatalf("the adapter has handlers\n%s\nfor %d events", handlers.String(), len(p.Webhooks.Events))
	}
	for name, content := range map[string]string{
		"go.mod":  "module example.com/product\n\ngo 1.26\n",
		"main.go": strings.Replace(receiver, "HANDLERS", handlers.String(), 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs the go command in a module.
func run(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOFLAGS=", "GOWORK=off", "SALLYPORT_URL=", "SALLYPORT_KEY="), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// received is one event as the handler saw it.
type received struct {
	ID   string         `json:"id"`
	Type string         `json:"type"`
	Data map[string]any `json:"data"`
}

// process is the receiving program.
type process struct {
	url   string
	lines chan received
	seen  []received
}

func startReceiver(t *testing.T, dir string) *process {
	t.Helper()
	binary := filepath.Join(dir, "receive")
	run(t, dir, nil, "build", "-o", binary, ".")
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env = []string{"SIGNING_SECRET=" + signingSecret}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{lines: make(chan received, 1000)}
	scan := bufio.NewScanner(out)
	if !scan.Scan() {
		t.Fatal("the receiving program did not start")
	}
	p.url = scan.Text()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for scan.Scan() {
			var r received
			if err := json.Unmarshal(scan.Bytes(), &r); err != nil {
				t.Errorf("the handler printed %q", scan.Text())
			}
			p.lines <- r
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
	return p
}

// until waits for the event of a kind and a number.
func (p *process) until(t *testing.T, kind string, number int) received {
	t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		select {
		case r := <-p.lines:
			p.seen = append(p.seen, r)
			if r.Type == "stripe."+kind && r.number() == strconv.Itoa(number) {
				return r
			}
		case <-timeout:
			t.Fatalf("%s %d did not reach the handler in a minute; it got %+v", kind, number, p.seen)
		}
	}
}

// number is the mark of an event.
func (r received) number() string {
	email, _, _ := strings.Cut(fmt.Sprint(r.Data["email"]), "@")
	if amount, ok := r.Data["amountDue"]; ok {
		return fmt.Sprint(amount)
	}
	return email
}

// once fails when an event reached the handler twice, or a forged one did.
func (p *process) once(t *testing.T) {
	t.Helper()
	ids, numbers := map[string]int{}, map[string]int{}
	for _, r := range p.seen {
		ids[r.ID]++
		numbers[r.Type+" "+r.number()]++
	}
	for id, n := range ids {
		if n > 1 || id == "forged" {
			t.Errorf("event %s reached the handler %d times", id, n)
		}
	}
	if n := numbers["stripe.invoice.paid 2000"]; n != 1 {
		t.Errorf("what was sent twice reached the handler %d times", n)
	}
}

// refuses makes sure that a forged delivery is turned away.
func (p *process) refuses(t *testing.T) {
	t.Helper()
	body := `{"id":"forged","type":"stripe.invoice.paid","data":{}}`
	for _, signature := range []string{"", "v1,AAAA"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Webhook-Id", "x")
		r.Header.Set("Webhook-Timestamp", "1")
		r.Header.Set("Webhook-Signature", signature)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a forged delivery was answered with %d", resp.StatusCode)
		}
	}
}

// events are those the plan has handed over, sorted.
func (w *world) events() []string {
	var list []string
	for kind := range w.plan.Webhooks.Events {
		list = append(list, kind)
	}
	slices.Sort(list)
	return list
}

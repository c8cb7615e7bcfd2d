package sallyport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
)

// serving starts Serve and returns its address, how to stop it, and its end.
func serving(t testing.TB, app *sallyport.App) (address string, stop func(), ended <-chan error) {
	t.Helper()
	l := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- app.Serve(ctx, l) }()
	return l.Addr().String(), stop, done
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func await(t testing.TB, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("Serve does not end")
		return nil
	}
}

// R9.3: Serve takes webhooks, hands events over, lets what is in hand finish
// when it is told to stop, and leaves nothing behind.
func TestServe(t *testing.T) {
	t.Parallel()
	app := start(t, configure(t))
	handled, goOn := make(chan string, 1), make(chan struct{})
	if err := app.On("stripe", "invoice.paid", func(_ context.Context, e sallyport.Event) error {
		handled <- e.ExternalID + " " + string(e.Data)
		<-goOn
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	address, stop, ended := serving(t, app)
	defer stop()
	if status := post(t, address); status != http.StatusOK {
		t.Fatalf("answered %d", status)
	}
	if got := <-handled; got != `evt_1 {"id":"in_1"}` {
		t.Errorf("handled %s", got)
	}
	stop()
	select {
	case err := <-ended:
		t.Fatalf("it ended with an event in hand: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	if err := await(t, ended); err != nil {
		t.Error(err)
	}
	if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		c.Close()
		t.Error("it still listens")
	}
	if err := app.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// post sends a signed webhook as Stripe does.
func post(t testing.TB, address string) (status int) {
	t.Helper()
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{
		Payload: []byte(`{"id":"evt_1","type":"invoice.paid","created":1760000000,"data":{"object":{"id":"in_1"}}}`), Secret: webhookSecret,
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/api/webhooks/stripe", strings.NewReader(string(signed.Payload)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Stripe-Signature", signed.Header)
	r.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// An event that goes nowhere is told at once, and the listener and the database
// are closed.
func TestServeWithoutHandler(t *testing.T) {
	t.Parallel()
	c := configure(t)
	app := start(t, c)
	address, stop, ended := serving(t, app)
	defer stop()
	if err := await(t, ended); err == nil || !strings.Contains(err.Error(), "webhooks.events.invoice.paid has neither a destination") {
		t.Errorf("ended with %v", err)
	}
	if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		c.Close()
		t.Error("it still listens")
	}
	if r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody); true {
		w := httptest.NewRecorder()
		app.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("readyz answers %d after the end", w.Code)
		}
	}
}

func TestServeOnAClosedListener(t *testing.T) {
	t.Parallel()
	app := start(t, configure(t))
	if err := app.On("stripe", "invoice.paid", ignore); err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	l.Close()
	ended := make(chan error, 1)
	go func() { ended <- app.Serve(t.Context(), l) }()
	if err := await(t, ended); !errors.Is(err, net.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
}

// Run is for once: a second one must not bring the process down.
func TestRunTwice(t *testing.T) {
	t.Parallel()
	app := start(t, configure(t))
	if err := app.Run(t.Context()); err == nil {
		t.Error("it runs without a handler")
	}
	if err := app.On("stripe", "invoice.paid", ignore); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := app.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := app.Run(ctx); err == nil || !strings.Contains(err.Error(), "once") {
		t.Errorf("the second: %v", err)
	}
}

// R4.7: a call that is cut off because the grace is over may have had its
// effect. It is in the database before Serve returns.
func TestServeKeepsWhatItCutsOff(t *testing.T) {
	t.Parallel()
	began, ends := make(chan struct{}), make(chan struct{})
	provider := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(began)
		<-ends
	}))
	defer provider.Close()
	defer close(ends)
	c := configure(t, "BASE", provider.URL)
	c.Grace = 50 * time.Millisecond
	key := appKey(t, c)
	app := start(t, c)
	if err := app.On("stripe", "invoice.paid", ignore); err != nil {
		t.Fatal(err)
	}
	address, stop, ended := serving(t, app)
	defer stop()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, "http://"+address+"/api/v1/integrations/stripe/proxy/v1/payouts", strings.NewReader("amount=1"))
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Authorization", "Bearer "+key)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		if resp, err := client.Do(r); err == nil {
			resp.Body.Close()
		}
	}()
	<-began
	stop()
	if err := await(t, ended); err == nil || !strings.Contains(err.Error(), "still in hand after 50ms") {
		t.Errorf("ended with %v", err)
	}
	<-answered
	store := open(t, c)
	defer store.Close()
	calls, _, err := store.Calls(t.Context(), integration.Filter{Service: "stripe", Status: string(integration.CallUnknown)})
	if err != nil || len(calls) != 1 || calls[0].Path != "/v1/payouts" {
		t.Errorf("kept %+v, %v", calls, err)
	}
}

func open(t testing.TB, c sallyport.Config) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), strings.TrimPrefix(c.Database, "sqlite:"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// appKey makes an API key in the database of c.
func appKey(t testing.TB, c sallyport.Config) string {
	t.Helper()
	store := open(t, c)
	defer store.Close()
	key, record := api.NewKey("test", integration.ScopeApp, time.Now())
	if err := store.CreateKey(t.Context(), record, integration.AuditEntry{ID: record.ID, At: time.Now(), Actor: "command line", Action: "key.create", Target: record.ID}); err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

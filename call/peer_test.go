package call_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stripe/stripe-go/v85"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/send"
)

// over makes a service that really sends, to a server of the test.
func over(t testing.TB, server *httptest.Server, dice func() float64) (*call.Service, *journal) {
	t.Helper()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := send.New(send.Config{Hosts: []string{at.Host}, AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.CloseIdleConnections)
	p := parse(t, stripePlan)
	p.Environments["development"] = plan.Environment{BaseURL: server.URL}
	p.Provider.Limits.List = nil
	p.Breaker.Minimum, p.Calls.RetryBudget = 1000, 100 // these are about single calls
	written := &journal{}
	s, err := call.New(call.Config{
		Plan: p, Environment: "development", Transport: sender, Journal: written, Dice: dice,
		Secret: func() integration.Secret { return integration.NewSecret(canary) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, written
}

func never() float64 { return 0 }

// The official SDK runs through the transport unchanged, its own retries off:
// ours know the plan.
func TestStripeSDK(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if r.Header.Get("Authorization") != "Bearer "+canary {
			http.Error(w, `{"error":{"type":"invalid_request_error"}}`, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Request-Id", "req_1")
		switch {
		case r.URL.Path == "/v1/customers/cus_none":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"code":"resource_missing","type":"invalid_request_error","message":"No such customer"}}`)
		case len(keys) < 3:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error":{"type":"api_error"}}`)
		default:
			fmt.Fprintf(w, `{"id":"cus_1","object":"customer","email":%q}`, r.FormValue("email"))
		}
	}))
	defer server.Close()
	s, written := over(t, server, never)
	client := stripe.NewClient("sk_test_dummy", stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		HTTPClient:        &http.Client{Transport: s.Transport("acme", integration.EntryClient)},
		MaxNetworkRetries: stripe.Int64(0),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
		EnableTelemetry:   stripe.Bool(false),
	})))
	customer, err := client.V1Customers.Create(t.Context(), &stripe.CustomerCreateParams{Email: stripe.String("a@b.c")})
	if err != nil || customer.ID != "cus_1" || customer.Email != "a@b.c" {
		t.Fatal(customer, err)
	}
	if len(keys) != 3 || keys[0] == "" || keys[0] != keys[1] || keys[1] != keys[2] {
		t.Errorf("keys %q", keys)
	}
	_, err = client.V1Customers.Retrieve(t.Context(), "cus_none", nil)
	var e *stripe.Error
	if !errors.As(err, &e) || e.Code != stripe.ErrorCodeResourceMissing || e.HTTPStatusCode != 404 || e.RequestID != "req_1" {
		t.Errorf("the SDK sees %v", err)
	}
	if len(written.calls) != 2 || written.calls[0].IdempotencyKey != keys[0] || written.calls[1].Endpoint != "get_customer" {
		t.Errorf("%+v", written.calls)
	}
}

// Failed attempts give their connection back: many retries, few connections.
func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	var asked, opened atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1)%2 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, strings.Repeat("x", 100<<10))
			return
		}
		fmt.Fprint(w, `{}`)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	s, _ := over(t, server, never)
	client := &http.Client{Transport: s.Transport("", integration.EntryClient)}
	for range 30 {
		resp, err := client.Get(server.URL + "/v1/balance")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.StatusCode)
		}
	}
	if asked.Load() != 60 || opened.Load() > 2 {
		t.Errorf("%d requests over %d connections", asked.Load(), opened.Load())
	}
}

// Bodies of successes are streamed: the first bytes are here before the last
// ones are written.
func TestStreaming(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "first")
		w.(http.Flusher).Flush()
		<-more
		fmt.Fprint(w, "last")
	}))
	defer server.Close()
	s, _ := over(t, server, never)
	resp, err := s.Transport("", integration.EntryProxy).RoundTrip(request(t, http.MethodGet, "/v1/balance", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first" {
		t.Fatal(string(first), err)
	}
	close(more)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "last" {
		t.Error(string(rest), err)
	}
}

// Compressed answers are read, errors too, and handed on plain.
func TestCompression(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "gzip" {
			t.Errorf("accepts %q", got)
		}
		w.WriteHeader(http.StatusPaymentRequired)
		fmt.Fprint(w, `{"error":{"code":"card_declined"}}`)
	}))
	defer server.Close()
	s, written := over(t, server, never)
	r := request(t, http.MethodGet, customers+"/cus_1", "")
	r.Header.Set("Accept-Encoding", "br")
	resp, err := s.Transport("", integration.EntryClient).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct{ Error struct{ Code string } }
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || body.Error.Code != "card_declined" {
		t.Error(body, err)
	}
	if f := written.only(t).Failure; f.ProviderCode != "card_declined" {
		t.Errorf("%+v", f)
	}
}

// A server that hangs up before it answers: a read is repeated, a create
// without a key is not.
func TestHangUp(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if asked.Add(1) == 1 || r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, `{}`)
	}))
	defer server.Close()
	s, written := over(t, server, never)
	door := s.Transport("", integration.EntryClient)
	resp, err := door.RoundTrip(request(t, http.MethodGet, customers+"/cus_1", ""))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	before := asked.Load()
	_, err = door.RoundTrip(request(t, http.MethodPost, "https://api.stripe.com/v1/notes", "a=1"))
	var f *integration.Failure
	if !errors.As(err, &f) || f.Code != call.CodeUnknownOutcome || asked.Load() != before+1 {
		t.Errorf("%v, asked %d times", err, asked.Load()-before)
	}
	if last := written.calls[len(written.calls)-1]; last.State != integration.CallUnknown {
		t.Errorf("%+v", last)
	}
}

// An answer that breaks off after its first bytes must not look whole.
func TestCutAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	s, _ := over(t, server, never)
	resp, err := s.Transport("", integration.EntryProxy).RoundTrip(request(t, http.MethodGet, "/v1/balance", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half an answer ends with %v", err)
	}
}

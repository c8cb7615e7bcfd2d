package sandbox_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/sandbox"
)

func withFaults(t *testing.T, text string) bundle {
	t.Helper()
	list, err := sandbox.ParseFaults("faults.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cfg := stripeConfig(t)
	cfg.Faults = list
	return start(t, cfg)
}

// R4.6: told to wait.
func TestFaultLimited(t *testing.T) {
	t.Parallel()
	b := withFaults(t, `
- {endpoint: create_customer, after: 1, first: 2, status: 429, retry_after: 2s}
- {endpoint: "*", first: 1, status: 503, body: "down for a moment"}
`)
	var got []int
	for range 5 {
		r := b.do(t, "POST", "/v1/customers", "")
		got = append(got, r.status)
		switch r.status {
		case 429:
			if r.header.Get("Retry-After") != "2" || r.at("error.code") != "rate_limit" || r.header.Get("Request-Id") == "" {
				t.Errorf("%v %s", r.header, r.body)
			}
		case 503:
			if r.body != "down for a moment" || r.header.Get("Retry-After") != "" {
				t.Errorf("%v %s", r.header, r.body)
			}
		}
	}
	// The first passes the first fault, so the second one takes it.
	if want := []int{503, 429, 429, 200, 200}; !equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := len(b.do(t, "GET", "/v1/customers", "").at("data").([]any)); n != 2 {
		t.Errorf("%d customers; refused requests must have no effect", n)
	}
	log := b.Requests()
	if log[1].Fault != "status 429, retry after 2s" || log[1].Status != 429 || log[4].Fault != "" {
		t.Errorf("%+v", log)
	}
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// R4.7: an error after the effect, the case that idempotency keys are for.
func TestFaultAfterTheEffect(t *testing.T) {
	t.Parallel()
	b := withFaults(t, `[{"endpoint": "POST /v1/customers", "first": 1, "status": 500, "effect": "after"}]`)
	if r := b.do(t, "POST", "/v1/customers", "email=a@example.com", "Idempotency-Key", "k"); r.status != 500 || r.at("error.type") != "api_error" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	r := b.do(t, "POST", "/v1/customers", "email=a@example.com", "Idempotency-Key", "k")
	if r.status != 200 || r.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if n := len(b.do(t, "GET", "/v1/customers", "").at("data").([]any)); n != 1 {
		t.Errorf("%d customers", n)
	}
}

// R4.8: the connection breaks.
func TestFaultReset(t *testing.T) {
	t.Parallel()
	b := withFaults(t, `
- endpoint: GET /v1/customers
  reset: true
  first: 1
`)
	_, err := b.try(t, "GET", "/v1/customers", "")
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
	if r := b.do(t, "GET", "/v1/customers", ""); r.status != 200 {
		t.Error(r.body)
	}
	if log := b.Requests(); log[0].Status != 0 || log[0].Fault != "reset" {
		t.Errorf("%+v", log[0])
	}
}

func TestParseFaultsRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"- {endpoint: \"*\", status: 503, frist: 1}":                       "f.yaml:1:32: ",
		"- endpoint: \"*\"\n  status: 200\n":                               "f.yaml:2:11: status 200",
		"- endpoint: \"*\"\n  status: many\n":                              "f.yaml:2:11: ",
		"- {status: 503}":                                                  "f.yaml:1:",
		"- {endpoint: \"*\"}":                                              "does nothing",
		"- {endpoint: \"*\", status: 503, reset: true}":                    "exclude each other",
		"- {endpoint: \"*\", retry_after: 1s, latency: 1s}":                "needs a status",
		"- {endpoint: \"*\", status: 429, retry_after: 1500ms}":            "whole seconds",
		"- {endpoint: \"*\", status: 429, retry_after: soon}":              "f.yaml:1:",
		"- {endpoint: \"*\", status: 500, effect: never}":                  "before or after",
		"- {endpoint: \"*\", latency: 1s, effect: after}":                  "needs a status or reset",
		"- {endpoint: \"*\", status: 500, first: -1}":                      "negative",
		"- {endpoint: \"*\", status: 500, after: -1}":                      "negative",
		"endpoint: \"*\"":                                                  "f.yaml:1:",
		"- [":                                                              "f.yaml:1:",
		"- endpoint: \"*\"\n  status: 1\n- endpoint: \"*\"\n  status: 2\n": "f.yaml:4:11: ",
	} {
		if list, err := sandbox.ParseFaults("f.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) || list != nil {
			t.Errorf("%q: %v, %v; want %s", text, list, err, want)
		}
	}
	if list, err := sandbox.ParseFaults("f.yaml", []byte("\n")); err != nil || list != nil {
		t.Errorf("an empty file: %v, %v", list, err)
	}
}

func FuzzParseFaults(f *testing.F) {
	f.Add([]byte("- {endpoint: \"*\", status: 503}"))
	f.Add([]byte("[{\"endpoint\":\"*\",\"latency\":\"1s\"}]"))
	f.Add([]byte("- &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := sandbox.ParseFaults("f", data)
		if err != nil && list != nil {
			t.Error("both a list and an error")
		}
	})
}

// R4.8: an answer that takes its time, and a caller who does not wait for it.
func TestFaultLatency(t *testing.T) {
	t.Parallel()
	list, err := sandbox.ParseFaults("faults.yaml", []byte("- {endpoint: \"*\", latency: 40s}"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := stripeConfig(t)
	cfg.Faults = list
	synctest.Test(t, func(t *testing.T) {
		s, err := sandbox.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://sandbox.test/v1/customers", nil)
		req.Header.Set("Authorization", "Bearer "+apiKey)
		s.ServeHTTP(w, req)
		if took := time.Since(start); took != 40*time.Second || w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("%v, %d", took, w.Code)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w = httptest.NewRecorder()
		s.ServeHTTP(w, req.WithContext(ctx))
		if log := s.Requests(); log[1].Status != 0 || w.Body.Len() != 0 || time.Since(start) != 41*time.Second {
			t.Errorf("%+v", log[1])
		}
	})
}

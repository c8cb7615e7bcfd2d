package drift_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/drift"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

var now = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// recorder remembers what it was handed, and can be broken.
type recorder struct {
	mu     sync.Mutex
	kept   []integration.Drift
	broken bool
}

func (r *recorder) RecordDrift(_ context.Context, list []integration.Drift) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return errors.New("the disk is full")
	}
	r.kept = append(r.kept, list...)
	return nil
}

func (r *recorder) list() []integration.Drift {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]integration.Drift(nil), r.kept...)
}

func testPlan() *plan.Plan {
	return &plan.Plan{
		Service: "things",
		Provider: &catalog.Profile{
			Errors: catalog.Errors{CodePath: "error.code", Meanings: []catalog.MeaningRule{{Codes: []string{"gone"}, Class: "missing"}}},
			Limits: catalog.Limits{Signal: &catalog.BodySignal{Path: "error.code", Values: []string{"slow_down"}}},
		},
		Endpoints: map[string]*plan.Endpoint{
			"get_thing": {Call: "GET /v1/things/{id}", Effect: plan.EffectRead, Receive: "thing"},
			"other":     {Call: "GET /v1/unknown", Effect: plan.EffectRead},
		},
		Mappings: map[string][]plan.MappingRow{
			"thing": {
				{External: "email", Type: "string", Internal: "email", As: "string", Class: "pii", Missing: "fail"},
				{External: "plan", Type: "string", Internal: "plan", As: "enum", Values: map[string]string{"free": "FREE"}, Class: "pii", Unknown: "keep"},
				{External: "status", Type: "string", Internal: "status", As: "enum", Values: map[string]string{"open": "OPEN", "paid": "PAID", "void": "VOID"}, Unknown: "keep"},
				{External: "lines[*]", Type: "object", Internal: "lines[*]", As: "line"},
				{External: "amount", Type: "integer", Internal: "amount", As: "string", Direction: "out"},
			},
			"line": {{External: "price", Type: "integer", Internal: "price", As: "integer", Null: "fail"}},
		},
	}
}

func document(t testing.TB) *openapi.Document {
	t.Helper()
	data, err := os.ReadFile("testdata/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := openapi.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func checker(t testing.TB, r *recorder, change ...func(*drift.Config)) *drift.Checker {
	t.Helper()
	c := drift.Config{
		Plan: testPlan(), Document: document(t), Recorder: r, OneIn: 1, Dice: func() float64 { return 0 },
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	for _, ch := range change {
		ch(&c)
	}
	return drift.New(c)
}

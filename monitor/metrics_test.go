package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/monitor"
)

// source is one that a test writes.
type source struct {
	mu    sync.Mutex
	asked int
	says  monitor.Snapshot
	err   error
}

func (s *source) Standing(context.Context) (monitor.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.says, s.err
}

func names() map[string]monitor.Names {
	return map[string]monitor.Names{
		"stripe": {Events: []string{"invoice.paid"}, Destinations: []string{"app"}, Endpoints: []string{"create_customer"}},
		"github": {},
	}
}

func full() monitor.Snapshot {
	return monitor.Snapshot{
		Unknown: 3,
		Sizes:   &monitor.Sizes{Bytes: 4096, Free: 0, Log: -1, Tables: map[string]int64{"events": 2048, "calls": -1}},
		Services: []monitor.Service{{
			Name: "stripe", Door: map[string]int64{"received": 5, "rejected_mismatch": 2}, Events: map[string]int{"received": 1, "processed": 4},
			OldestDue: noon.Add(-90 * time.Second), Calls: map[string]int{"kept": 2}, OldestCall: noon.Add(time.Minute), Connections: map[string]int{"active": 7},
			Subscriptions: &monitor.Subscriptions{Total: 8, Connections: 7, Failing: 1, Expires: noon.Add(time.Hour)},
			Reconcile:     &monitor.Reconcile{Found: 6, Failures: 2, LastRun: noon.Add(-time.Minute), Mark: noon, Lag: 30 * time.Second},
			Breakers:      map[string]int{"open": 1}, Limits: []monitor.Limit{{Name: "account", Used: 20, Share: 80, Waiting: 1, Refused: 9}, {Name: "account"}},
			Cache: map[string]int64{"cache": 11}, Retries: 12,
		}, {Name: "github"}},
	}
}

// scrape reads the figures as Prometheus does.
func scrape(t *testing.T, m *monitor.Metrics) (map[string]*dto.MetricFamily, string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	text := w.Body.String()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("Prometheus can't read it: %v\n%s", err, text)
	}
	return families, text
}

// value is one figure, found by its labels in the order of their names; ok says
// whether it is there.
func value(families map[string]*dto.MetricFamily, name string, labels ...string) (v float64, ok bool) {
	family := families[name]
	if family == nil {
		return 0, false
	}
	for _, m := range family.GetMetric() {
		var have []string
		for _, l := range m.GetLabel() {
			have = append(have, l.GetValue())
		}
		if !slices.Equal(have, labels) {
			continue
		}
		switch family.GetType() {
		case dto.MetricType_COUNTER:
			return m.GetCounter().GetValue(), true
		case dto.MetricType_HISTOGRAM:
			return float64(m.GetHistogram().GetSampleCount()), true
		default:
			return m.GetGauge().GetValue(), true
		}
	}
	return 0, false
}

// R6.3, R6.7: what happens is counted, and only in the plan's words.
func TestCounted(t *testing.T) {
	t.Parallel()
	m := monitor.New(monitor.Config{Services: names(), Version: "1.2.3"})
	m.Door("stripe", http.StatusOK, 3*time.Millisecond)
	m.Door("stripe", http.StatusUnauthorized, time.Millisecond)
	m.Door("stripe", 99999, time.Millisecond)
	m.Arrived(&integration.Event{Service: "stripe", Type: "invoice.paid", Tenant: "acme"})
	m.Arrived(&integration.Event{Service: "stripe", Type: "anything.else"})
	m.Handled(&integration.Event{Service: "stripe"}, &integration.Outcome{
		Status: integration.EventProcessed,
		Deliveries: []integration.Delivery{
			{Destination: "app", State: integration.DeliverySucceeded, Took: time.Second},
			{Destination: "handler", State: integration.DeliverySucceeded},
			{Destination: "gone", State: integration.DeliverySucceeded},
		},
	})
	m.Handled(&integration.Event{Service: "stripe"}, &integration.Outcome{Released: true, Status: integration.EventReceived})
	m.Call(&integration.Call{Service: "stripe", Endpoint: "create_customer", State: integration.CallSucceeded, Tenant: "acme"})
	m.Call(&integration.Call{Service: "stripe", State: integration.CallFailed, Failure: &integration.Failure{Class: "5xx"}})
	m.Used("stripe", true)
	m.Renewed("stripe", nil)
	m.Renewed("stripe", errors.New("canary"))
	families, text := scrape(t, m)
	for _, want := range []struct {
		name   string
		labels []string // in the order of the labels' names
		value  float64
	}{
		{"sallyport_webhook_request_seconds", []string{"stripe", "2xx"}, 1},
		{"sallyport_webhook_request_seconds", []string{"stripe", "401"}, 1},
		{"sallyport_webhook_request_seconds", []string{"stripe", "other"}, 1},
		{"sallyport_webhook_events_total", []string{"stripe", "invoice.paid"}, 1},
		{"sallyport_webhook_events_total", []string{"stripe", "other"}, 1},
		{"sallyport_delivery_seconds", []string{"app", "stripe", "succeeded"}, 1},
		{"sallyport_delivery_seconds", []string{"handler", "stripe", "succeeded"}, 1},
		{"sallyport_delivery_seconds", []string{"other", "stripe", "succeeded"}, 1},
		{"sallyport_event_outcomes_total", []string{"stripe", "processed"}, 1},
		{"sallyport_calls_total", []string{"none", "create_customer", "stripe", "succeeded"}, 1},
		{"sallyport_calls_total", []string{"5xx", "proxy", "stripe", "failed"}, 1},
		{"sallyport_credential_uses_total", []string{"true", "stripe"}, 1},
		{"sallyport_token_renewals_total", []string{"stripe", "true"}, 1},
		{"sallyport_token_renewals_total", []string{"stripe", "false"}, 1},
		{"sallyport_build_info", []string{"1.2.3"}, 1},
	} {
		if got, ok := value(families, want.name, want.labels...); !ok || got != want.value {
			t.Errorf("%s%v is %v (there: %t), want %v", want.name, want.labels, got, ok, want.value)
		}
	}
	if _, ok := value(families, "sallyport_event_outcomes_total", "stripe", "received"); ok {
		t.Error("a turn that was given back is no outcome")
	}
	for _, bad := range []string{"acme", "anything.else", "gone", "canary"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is among the labels", bad)
		}
	}
}

// R6.3: strangers can't make the labels many. Whatever names come in, there are
// no more series than plans have words.
func TestFewLabels(t *testing.T) {
	t.Parallel()
	m := monitor.New(monitor.Config{Services: names()})
	const many = 2000
	for i := range many {
		name := fmt.Sprintf("stranger-%d", i)
		m.Door(name, i, time.Millisecond)
		m.Door("stripe", i, time.Millisecond)
		m.Arrived(&integration.Event{Service: name, Type: name, Tenant: name})
		m.Arrived(&integration.Event{Service: "stripe", Type: name})
		m.Call(&integration.Call{Service: "stripe", Endpoint: name, Tenant: name, State: integration.CallSucceeded})
		m.Handled(&integration.Event{Service: name}, &integration.Outcome{Deliveries: []integration.Delivery{{Destination: name}}})
		m.Used(name, false)
		m.Renewed(name, nil)
	}
	families, text := scrape(t, m)
	if strings.Contains(text, "stranger") {
		t.Error("a stranger's word became a label")
	}
	for name, family := range families {
		if n := len(family.GetMetric()); n > 30 {
			t.Errorf("%s has %d series", name, n)
		}
	}
	if n, _ := value(families, "sallyport_webhook_events_total", "other", "other"); n != many {
		t.Errorf("%v events of strangers, want %d", n, many)
	}
}

// R5.14, R5.15, R6.3: how it stands is shown, and what is not known is left out.
func TestStanding(t *testing.T) {
	t.Parallel()
	m := monitor.New(monitor.Config{Services: names(), Source: &source{says: full()}, Now: func() time.Time { return noon }})
	families, _ := scrape(t, m)
	unix := float64(noon.Unix())
	for _, want := range []struct {
		name   string
		labels []string
		value  float64
	}{
		{"sallyport_scrape_failed", nil, 0},
		{"sallyport_standing_timestamp_seconds", nil, unix},
		{"sallyport_webhook_unknown_address_total", nil, 3},
		{"sallyport_store_bytes", nil, 4096},
		{"sallyport_store_free_bytes", nil, 0},
		{"sallyport_store_table_bytes", []string{"events"}, 2048},
		{"sallyport_webhooks_total", []string{"stripe", "rejected_mismatch"}, 2},
		{"sallyport_events", []string{"stripe", "processed"}, 4},
		{"sallyport_events_oldest_due_seconds", []string{"stripe"}, 90},
		{"sallyport_events_oldest_due_seconds", []string{"github"}, 0},
		{"sallyport_calls", []string{"stripe", "kept"}, 2},
		{"sallyport_calls_oldest_due_seconds", []string{"stripe"}, 0},
		{"sallyport_connections", []string{"stripe", "active"}, 7},
		{"sallyport_subscriptions", []string{"stripe"}, 8},
		{"sallyport_subscribed_connections", []string{"stripe"}, 7},
		{"sallyport_subscriptions_failing", []string{"stripe"}, 1},
		{"sallyport_subscriptions_expiry_timestamp_seconds", []string{"stripe"}, unix + 3600},
		{"sallyport_reconcile_found_total", []string{"stripe"}, 6},
		{"sallyport_reconcile_failures", []string{"stripe"}, 2},
		{"sallyport_reconcile_lag_seconds", []string{"stripe"}, 30},
		{"sallyport_reconcile_last_success_timestamp_seconds", []string{"stripe"}, unix - 60},
		{"sallyport_breakers", []string{"stripe", "open"}, 1},
		{"sallyport_limit_used_ratio", []string{"account", "stripe"}, .25},
		{"sallyport_limit_waiting", []string{"account", "stripe"}, 1},
		{"sallyport_limit_refused_total", []string{"account", "stripe"}, 9},
		{"sallyport_cache_reads_total", []string{"cache", "stripe"}, 11},
		{"sallyport_retries_refused_total", []string{"stripe"}, 12},
	} {
		if got, ok := value(families, want.name, want.labels...); !ok || got != want.value {
			t.Errorf("%s%v is %v (there: %t), want %v", want.name, want.labels, got, ok, want.value)
		}
	}
	for _, absent := range [][]string{
		{"sallyport_store_log_bytes"}, {"sallyport_store_table_bytes", "calls"}, {"sallyport_subscriptions", "github"}, {"sallyport_reconcile_found_total", "github"},
	} {
		if got, ok := value(families, absent[0], absent[1:]...); ok {
			t.Errorf("%v is %v, though it is not known", absent, got)
		}
	}
}

// One Source serves the scrapes of some seconds; one that fails spoils neither
// the scrape nor the counters.
func TestStandingIsKept(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now, failures := noon, 0
	src := &source{says: full()}
	m := monitor.New(monitor.Config{
		Services: names(), Source: src, Fresh: 10 * time.Second, Failed: func(error) { failures++ },
		Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
	})
	m.Used("stripe", false)
	for _, step := range []struct {
		after time.Duration
		err   error
		asked int
		value bool
	}{
		{0, nil, 1, true},
		{9 * time.Second, nil, 1, true},
		{2 * time.Second, errors.New("the disk is gone"), 2, false},
		{5 * time.Second, nil, 2, false}, // a failure is kept as well
		{6 * time.Second, nil, 3, true},
		{-time.Hour, nil, 4, true}, // the clock was put back
	} {
		mu.Lock()
		now = now.Add(step.after)
		mu.Unlock()
		src.err = step.err
		families, text := scrape(t, m)
		_, ok := value(families, "sallyport_events", "stripe", "received")
		if failed, _ := value(families, "sallyport_scrape_failed"); ok != step.value || (failed == 1) == step.value || src.asked != step.asked {
			t.Errorf("%+v: there %t, failed %v, asked %d", step, ok, failed, src.asked)
		}
		if n, _ := value(families, "sallyport_credential_uses_total", "false", "stripe"); n != 1 {
			t.Errorf("%+v: the counters are lost", step)
		}
		if strings.Contains(text, "disk is gone") {
			t.Error("the failure is told to whoever scrapes")
		}
	}
	if failures != 1 {
		t.Errorf("%d failures were told of, want 1", failures)
	}
}

// Requests to a provider are counted by status, and an absent answer too.
func TestRequests(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer provider.Close()
	m := monitor.New(monitor.Config{Services: names()})
	client := &http.Client{Transport: m.Requests("stripe", &http.Transport{DisableKeepAlives: true})}
	for _, path := range []string{"/", "/cut?secret=canary"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, provider.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := client.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
	families, text := scrape(t, m)
	for _, status := range []string{"429", "error"} {
		if n, _ := value(families, "sallyport_provider_request_seconds", "stripe", status); n != 1 {
			t.Errorf("%v requests ended %s, want 1", n, status)
		}
	}
	if strings.Contains(text, "canary") || strings.Contains(text, "127.0.0.1") {
		t.Error("an address is among the labels")
	}
}

// Nothing is counted, and nothing breaks, where there are no metrics.
func TestNoMetrics(t *testing.T) {
	t.Parallel()
	var m *monitor.Metrics
	m.Door("stripe", 200, 0)
	m.Arrived(&integration.Event{})
	m.Handled(&integration.Event{}, &integration.Outcome{})
	m.Call(&integration.Call{})
	m.Used("stripe", true)
	m.Renewed("stripe", nil)
	next := &http.Transport{}
	if m.Requests("stripe", next) != http.RoundTripper(next) {
		t.Error("the transport is another one")
	}
}

// promtool's own check, where it is installed; its main rules are held to
// everywhere.
func TestPromtool(t *testing.T) {
	t.Parallel()
	m := monitor.New(monitor.Config{Services: names(), Source: &source{says: full()}, Now: func() time.Time { return noon }})
	m.Door("stripe", 200, 0)
	m.Used("stripe", true)
	families, text := scrape(t, m)
	for name, f := range families {
		counter := f.GetType() == dto.MetricType_COUNTER
		if f.GetHelp() == "" || counter != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %s, helped by %q", name, f.GetType(), f.GetHelp())
		}
	}
	tool, err := exec.LookPath("promtool")
	if err != nil {
		return
	}
	cmd := exec.CommandContext(t.Context(), tool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

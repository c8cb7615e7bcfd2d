package api_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
)

// sizes is a store that counts how often it is measured.
type sizes struct {
	asked int
	err   error
}

func (s *sizes) Sizes(context.Context) (integration.StoreSize, error) {
	s.asked++
	return integration.StoreSize{Bytes: 4096, Free: -1, Log: 0, Tables: []integration.TableSize{{Table: "webhook_events", Rows: 3, Bytes: -1}}}, s.err
}

// What is not known is not said, and measuring is not done for each request.
func TestStorage(t *testing.T) {
	t.Parallel()
	s := &sizes{}
	b := newBundle(t, noProvider(t), func(c *api.Config) { c.Storage = s })
	const path = "/api/v1/admin/storage"
	for range 3 {
		v := b.do(b.admin, http.MethodGet, path, "").json(t)
		table := v["tables"].([]any)[0].(map[string]any)
		if v["bytes"] != 4096.0 || v["free_bytes"] != nil || v["log_bytes"] != 0.0 || table["rows"] != 3.0 || table["bytes"] != nil || table["table"] != "webhook_events" {
			t.Errorf("answered %v", v)
		}
	}
	b.do(b.app, http.MethodGet, path, "").problem(t, http.StatusForbidden, "scope_missing")
	if s.asked != 1 {
		t.Errorf("measured %d times", s.asked)
	}
	b.now, s.err = b.now.Add(time.Minute), errors.New("canary of the database")
	if a := b.do(b.admin, http.MethodGet, path, ""); a.status != http.StatusServiceUnavailable && a.status != http.StatusInternalServerError || len(a.text) > 1000 {
		t.Errorf("%d: %s", a.status, a.text)
	}
}

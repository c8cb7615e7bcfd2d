package sallyport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
)

const spikingPlan = `
sallyport: 1
service: gitlab
uses: gitlab
need: Follow changes.
environments:
  development: {base_url: "http://127.0.0.1:1", secrets: {api_key: "env:KEY", webhook_secret: "env:HOOK"}}
auth: {use: api_key}
endpoints:
  get_user: {call: "GET /api/v4/user", purpose: See whether the key works., effect: read}
webhooks:
  events:
    Push Hook: {}
`

// R5.12: the alarm is raised about deliveries that fail, types nobody expects and
// webhooks that are not signed; once each, and with what a person needs to know.
func TestSpikes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "gitlab.yaml"), []byte(spikingPlan), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	now := time.Now()
	app, err := New(t.Context(), Config{
		Plans: folder, Database: "sqlite:" + filepath.Join(t.TempDir(), "spikes.db"), Now: func() time.Time { return now },
		LookupEnv: func(name string) (string, bool) { return "secret-canary", name == "KEY" || name == "HOOK" },
		Log:       slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	if err := app.On("gitlab", "Push Hook", func(context.Context, Event) error { return errors.New("no") }); err != nil {
		t.Fatal(err)
	}
	n := 0
	hook := func(kind, token string) int {
		n++
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/webhooks/gitlab", strings.NewReader(fmt.Sprintf(`{"object_kind":%q,"n":%d}`, kind, n)))
		r.Header.Set("X-Gitlab-Token", token)
		r.Header.Set("X-Gitlab-Event", kind)
		r.Header.Set("Idempotency-Key", fmt.Sprint(n))
		w := httptest.NewRecorder()
		app.Handler().ServeHTTP(w, r)
		return w.Code
	}
	s := newSpikes()
	look := func() string {
		log.Reset()
		app.lookForSpikes(t.Context(), "gitlab", s)
		return log.String()
	}
	look()
	for minute := range 6 { // usually all is well
		now = now.Add(time.Minute)
		hook("Push Hook", "secret-canary")
		if got := look(); got != "" {
			t.Fatalf("minute %d: %s", minute, got)
		}
	}
	for i := range 12 {
		app.deliverer.Deliver(t.Context(), integration.Event{ID: fmt.Sprint(i), Service: "gitlab", Type: "Push Hook", Payload: []byte("{}"), Attempts: 1})
		if code := hook("Feature Hook", "secret-canary"); code != http.StatusOK {
			t.Fatalf("answered %d", code)
		}
		if code := hook("Push Hook", "forged"); code != http.StatusUnauthorized {
			t.Fatalf("answered %d", code)
		}
	}
	got := look()
	for _, want := range []string{
		`"msg":"deliveries.failing","alert":true,"service":"gitlab","failed":12`, `"destinations":["handler"]`,
		`"msg":"events.unexpected","alert":true,"service":"gitlab","events":12`, `(12)"]`,
		`"msg":"webhooks.refused","alert":true,"service":"gitlab","webhooks":12`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("nothing about %s in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "secret-canary") || strings.Contains(got, "forged") {
		t.Errorf("a secret is shown: %s", got)
	}
	now = now.Add(time.Minute)
	if got := look(); got != "" {
		t.Errorf("raised again: %s", got)
	}
}

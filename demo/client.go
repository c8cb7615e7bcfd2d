package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// client talks to the gateway as the user's product would.
type client struct {
	base string
	key  integration.Secret
	http http.Client
}

// request is one call the scenario made, with what the gateway said of it.
type request struct {
	about    string
	started  time.Time
	took     time.Duration
	status   int
	body     []byte
	call     string // Sallyport-Call
	attempts string // Sallyport-Attempts
}

func (c *client) do(ctx context.Context, method, path, contentType string, body []byte) (*request, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	r.Header.Set("Sallyport-Tenant", "acme")
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	one := &request{started: time.Now()}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	one.body, err = io.ReadAll(answer.Body)
	one.took, one.status = time.Since(one.started), answer.StatusCode
	one.call, one.attempts = answer.Header.Get("Sallyport-Call"), answer.Header.Get("Sallyport-Attempts")
	return one, err
}

// endpoint calls a named endpoint, in our own fields.
func (c *client) endpoint(ctx context.Context, name string, path map[string]string, body any) (*request, error) {
	b, err := json.Marshal(struct {
		Tenant string            `json:"tenant"`
		Path   map[string]string `json:"path,omitempty"`
		Body   any               `json:"body,omitempty"`
	}{"acme", path, body})
	if err != nil {
		return nil, err
	}
	return c.do(ctx, http.MethodPost, "/api/v1/integrations/stripe/endpoints/"+name, "application/json", b)
}

// proxy calls the provider's own path, in its own form.
func (c *client) proxy(ctx context.Context, method, path, form string) (*request, error) {
	return c.do(ctx, method, "/api/v1/integrations/stripe/proxy"+path, "application/x-www-form-urlencoded", []byte(form))
}

// get reads something of the gateway's own API.
func (c *client) get(ctx context.Context, path string, into any) error {
	r, err := c.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	if r.status != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s", path, r.status, strings.TrimSpace(string(r.body)))
	}
	return json.Unmarshal(r.body, into)
}

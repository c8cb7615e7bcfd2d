package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// gateway is a running gateway as the admin commands see it: a client of its
// API like any other (R9.4).
type gateway struct {
	ui      *terminal
	address string
	output  string
	client  *http.Client
}

// gatewayKey is the variable with the API key. There is no flag for it: what is
// on the command line is seen by everybody on the machine.
const gatewayKey = "SALLYPORT_KEY"

// flags adds what every admin command takes.
func (g *gateway) flags(cmd *cobra.Command) {
	address := g.ui.getenv("SALLYPORT_GATEWAY")
	if address == "" {
		address = "http://127.0.0.1:8080"
	}
	cmd.PersistentFlags().StringVar(&g.address, "gateway", address, "URL of the gateway (SALLYPORT_GATEWAY)")
	cmd.PersistentFlags().StringVar(&g.output, "output", "table", "table or json")
	fixedCompletion(cmd, "output", "table", "json")
}

const gatewayHelp = `

The gateway is asked over its API: --gateway or SALLYPORT_GATEWAY says where it is, SALLYPORT_KEY holds a key
of scope admin (sallyport keys new --scope admin).`

// maxPage bounds what is read of an answer, in bytes.
const maxPage = 64 << 20

// do asks the gateway and reads its answer into out. An answer that is no
// success becomes an error with its hint.
func (g *gateway) do(ctx context.Context, method, path string, query url.Values, in, out any) error {
	if g.output != "table" && g.output != "json" {
		return fmt.Errorf("--output: %q is not one of table, json", g.output)
	}
	key := g.ui.getenv(gatewayKey)
	if key == "" {
		return fmt.Errorf("%s is not set: make a key with sallyport keys new --name me --scope admin, and export it", gatewayKey)
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	address := strings.TrimSuffix(g.address, "/") + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return fmt.Errorf("--gateway: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	client := g.client
	if client == nil {
		client = &http.Client{Timeout: time.Minute}
	}
	resp, err := client.Do(r)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return fmt.Errorf("no gateway answers at %s: %w; is sallyport serve running, and --gateway right?", g.address, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return fmt.Errorf("the gateway's answer broke off: %w", err)
	}
	if resp.StatusCode >= 300 {
		return refusal(resp, b)
	}
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s does not answer as a gateway does: %w", g.address, err)
	}
	return nil
}

// refusal reads a problem document.
func refusal(resp *http.Response, b []byte) error {
	var p struct{ Code, Detail, Hint string }
	if json.Unmarshal(b, &p) != nil || p.Code == "" {
		return fmt.Errorf("the gateway answered %s", resp.Status)
	}
	s := p.Detail
	if s == "" {
		s = p.Code
	}
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return errors.New(s)
}

// show prints an answer as JSON, or hands it to table.
func (g *gateway) show(v any, table func()) error {
	if g.output == "table" {
		table()
		return nil
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return g.ui.write("", append(b, '\n'))
}

// logFilter is what lists of events and calls are restricted by.
type logFilter struct {
	status, kind, tenant, text string
	since                      time.Duration
	limit                      int
}

func (f *logFilter) flags(cmd *cobra.Command, status, kind string) {
	cmd.Flags().StringVar(&f.status, "status", "", status)
	cmd.Flags().StringVar(&f.kind, "type", "", kind)
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "one customer's only")
	cmd.Flags().StringVar(&f.text, "text", "", "part of an id, a path or an error")
	cmd.Flags().DurationVar(&f.since, "since", 0, "only what came within this time: 1h, 24h")
	cmd.Flags().IntVar(&f.limit, "limit", 50, "how many at most")
}

func (f *logFilter) query(what string) url.Values {
	q := url.Values{"kind": {what}}
	for name, value := range map[string]string{"status": f.status, "type": f.kind, "tenant": f.tenant, "q": f.text} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.since > 0 {
		q.Set("since", time.Now().Add(-f.since).UTC().Format(time.RFC3339))
	}
	return q
}

// pages reads lists to the limit.
func (g *gateway) pages(ctx context.Context, service string, f *logFilter, what string, page func(json.RawMessage) (n int, err error)) error {
	q := f.query(what)
	for left := f.limit; left > 0; {
		q.Set("limit", fmt.Sprint(min(left, 500)))
		var out struct {
			Events, Calls json.RawMessage
			Next          string
		}
		if err := g.do(ctx, http.MethodGet, "/api/v1/admin/integrations/"+url.PathEscape(service)+"/logs", q, nil, &out); err != nil {
			return err
		}
		list := out.Events
		if what == "call" {
			list = out.Calls
		}
		if len(list) == 0 {
			return nil
		}
		n, err := page(list)
		if err != nil {
			return err
		}
		if left -= n; out.Next == "" || n == 0 {
			return nil
		}
		q.Set("cursor", out.Next)
	}
	return nil
}

// clean takes out of text from elsewhere what would move the cursor or change
// colours.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return -1
		}
		return r
	}, s)
}

// ago is a time as people read it.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := time.Since(t)
	switch later := -d; {
	case later > 0:
		return "in " + later.Round(time.Second).String()
	case d < time.Minute:
		return d.Round(time.Second).String() + " ago"
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s") + " ago"
	}
	return t.Format(time.DateOnly)
}

// stateStyle colours a state by whether somebody has to look.
func stateStyle(state string) string {
	switch state {
	case "failed", "unknown":
		return styleBad.Render(state)
	case "succeeded", "processed":
		return styleGood.Render(state)
	case "queued", "running", "received", "processing":
		return styleBold.Render(state)
	}
	return state
}

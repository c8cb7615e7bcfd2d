package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
)

// shownMost is how much of a refusal is shown, in bytes.
const shownMost = 300

// posted is how the developer's server took one event.
type posted struct {
	status int
	body   []byte // the beginning of its answer
	took   time.Duration
	err    error
}

// forward posts one event, and waits for the developer's server as long as nothing
// answers there. An error is that ctx ended.
func (l *localListener) forward(ctx context.Context, line *api.StreamLine) error {
	body, why := l.bodyOf(line)
	if why != "" {
		l.report(line, nil, &posted{}, why)
		return nil
	}
	for failures := 0; ; failures++ {
		p := l.post(ctx, line, body)
		if ctx.Err() != nil && p.err != nil {
			return context.Cause(ctx)
		}
		if unanswered(p.err) {
			l.tell("nothing answers at %s: %v; is your server running? events wait for it", l.to, p.err)
			pause(ctx, backoff(failures, 5*time.Second))
			continue
		}
		if l.forwarded++; p.status < 200 || p.status >= 300 {
			l.refused++
		}
		l.report(line, body, p, "")
		return nil
	}
}

// unanswered reports whether no connection was made: nothing was posted then.
func unanswered(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// bodyOf is what is posted, or why nothing is.
func (l *localListener) bodyOf(line *api.StreamLine) (body []byte, why string) {
	if line.Event.Kept == "nothing" {
		return nil, "what came is not kept any more"
	}
	if l.raw {
		return line.Body, ""
	}
	p := line.Preview
	switch {
	case p == nil:
		return nil, "this gateway delivers nothing; --raw posts what came"
	case p.Verdict == "ignored":
		return nil, "the plan does not use it; --raw posts it all the same"
	case p.Verdict == "fetched":
		return nil, "the plan reads it of the provider first (" + p.Fetch + "); --raw posts what came"
	case p.Refusal != nil && len(p.CloudEvent) == 0:
		why = "refused: " + p.Refusal.Detail
		if p.Refusal.Pointer != "" {
			why += " at " + p.Refusal.Pointer
		}
		return nil, why
	}
	return p.CloudEvent, ""
}

// afterwards is how long the developer's server may take to answer when the command
// ends, so that it is not posted the same again the next time.
const afterwards = 3 * time.Second

// post posts one event once.
func (l *localListener) post(ctx context.Context, line *api.StreamLine, body []byte) *posted {
	ending := ctx
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ending, func() { pause(ctx, afterwards); cancel() })()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.to, bytes.NewReader(body))
	if err != nil {
		return &posted{err: err}
	}
	if err := l.header(r.Header, line, body); err != nil {
		return &posted{err: err}
	}
	start := time.Now()
	resp, err := l.local.Do(r)
	if err != nil {
		return &posted{err: withoutURL(err), took: time.Since(start)}
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return &posted{status: resp.StatusCode, body: answer, took: time.Since(start)}
}

// header is what goes with the event.
func (l *localListener) header(h http.Header, line *api.StreamLine, body []byte) error {
	if l.raw {
		for name, values := range line.Event.Headers {
			if name = textproto.CanonicalMIMEHeaderKey(name); !ofConnection(name) && !integration.IsMark(name) {
				h[name] = values
			}
		}
		h.Set("Sallyport-Event", line.Event.ID)
		return nil
	}
	signer, err := standardwebhooks.NewWebhook(l.secret)
	if err != nil {
		return err
	}
	now := time.Now()
	signature, err := signer.Sign(line.Event.ID, now, body)
	if err != nil {
		return err
	}
	h.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	h.Set("User-Agent", "Sallyport")
	h.Set("Webhook-Id", line.Event.ID)
	h.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	h.Set("Webhook-Signature", signature)
	return nil
}

// ofConnection reports whether a header belonged to the connection that the event
// came by (RFC 9110, section 7.6.1), or is set anew.
func ofConnection(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Host", "Content-Length", "Expect", "Accept-Encoding":
		return true
	}
	return false
}

// forwardedEvent is one event in the output for programs.
type forwardedEvent struct {
	ID     string  `json:"id"`
	Type   string  `json:"type"`
	Status int     `json:"status,omitempty"`
	TookMS float64 `json:"took_ms,omitempty"`
	Error  string  `json:"error,omitempty"`
	Why    string  `json:"not_posted,omitempty"`
}

// report shows one line for an event.
func (l *localListener) report(line *api.StreamLine, body []byte, p *posted, why string) {
	e := line.Event
	if l.output == "json" {
		out := forwardedEvent{ID: e.ID, Type: e.Type, Status: p.status, TookMS: float64(p.took.Microseconds()) / 1000, Why: why}
		if p.err != nil {
			out.Error = p.err.Error()
		}
		if b, err := json.Marshal(out); err == nil {
			l.ui.print("%s", b)
		}
		return
	}
	outcome := styleDim.Render(clean(why))
	if strings.HasPrefix(why, "refused") {
		outcome = styleBad.Render(clean(why))
	}
	if why == "" {
		outcome = p.word()
	}
	if e.Redacted {
		outcome += styleDim.Render(", redacted")
	}
	if e.Replays > 0 {
		outcome += styleDim.Render(", replay")
	}
	l.ui.print("%s  %-32s %s  %s", e.ReceivedAt.Local().Format(time.TimeOnly), clean(e.Type), e.ID, outcome)
	if l.bodies && len(body) > 0 {
		l.ui.print("%s", clean(pretty(body)))
	}
	switch {
	case len(p.body) == 0:
	case l.bodies:
		l.ui.print("%s\n%s", styleDim.Render("answer:"), clean(pretty(p.body)))
	case p.status >= 300:
		l.ui.print("  %s", styleDim.Render(clean(shortened(p.body))))
	}
	if hint := p.hint(l.raw); hint != "" {
		l.tell("%s", hint)
	} else if p.status > 0 {
		l.complaint = ""
	}
}

func shortened(b []byte) string {
	text := strings.Join(strings.Fields(string(b)), " ")
	if len(text) > shownMost {
		text = strings.ToValidUTF8(text[:shownMost], "") + " …"
	}
	return text
}

// word is the outcome as a person reads it.
func (p *posted) word() string {
	took := styleDim.Render(fmt.Sprintf("%.0f ms", float64(p.took.Microseconds())/1000))
	switch {
	case p.err != nil:
		return styleBad.Render(clean(p.err.Error())) + " " + took
	case p.status >= 200 && p.status < 300:
		return styleGood.Render(strconv.Itoa(p.status)) + " " + took
	}
	return styleBad.Render(strings.TrimSpace(fmt.Sprintf("%d %s", p.status, http.StatusText(p.status)))) + " " + took
}

// hint is what may be wrong with a server that refuses.
func (p *posted) hint(raw bool) string {
	switch {
	case p.status == http.StatusNotFound:
		return "your server has nothing at this path: is --to right?"
	case p.status == http.StatusMethodNotAllowed:
		return "your server takes no POST at this path"
	case p.status != http.StatusUnauthorized && p.status != http.StatusForbidden:
	case raw:
		return "your server refuses it: the provider's signature is not forwarded, so it can't be verified; without --raw it can"
	default:
		return "your server refuses it: does it verify with the secret that was shown at the beginning?"
	}
	switch {
	case p.status >= 300 && p.status < 400:
		return "your server redirects, which is not followed: name the final URL"
	case p.status == http.StatusUnsupportedMediaType:
		return "your server does not take application/cloudevents+json"
	}
	return ""
}

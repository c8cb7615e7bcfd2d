package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/verify"
)

// retryWaits pass before the second and further attempts at sending an event.
// Providers take hours; a stand-in has less time.
var retryWaits = []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}

// inFlight is how many events are sent at a time.
const inFlight = 8

// sender signs events and hands them to the receiver.
type sender struct {
	to     string
	client *http.Client
	scheme *verify.Scheme // nil: the provider sends no webhooks
	secret integration.Secret
	now    func() time.Time
	log    *slog.Logger
	queue  chan *happening
}

func newSender(cfg Config, log *slog.Logger) (*sender, error) {
	s := &sender{to: cfg.WebhooksTo, client: cfg.Client, secret: cfg.Secrets.Webhook, now: cfg.Now, log: log, queue: make(chan *happening, maxQueue)}
	if s.now == nil {
		s.now = time.Now
	}
	if s.client == nil {
		s.client = &http.Client{Timeout: 10 * time.Second}
	}
	if s.to == "" {
		return s, nil
	}
	u, err := url.Parse(s.to)
	switch facts := cfg.Plan.Provider.Webhooks; {
	case err != nil || u.Host == "":
		return nil, fmt.Errorf("sandbox: WebhooksTo must be an absolute URL, such as http://127.0.0.1:8080/api/webhooks/%s", cfg.Plan.Service)
	case facts == nil:
		return nil, fmt.Errorf("sandbox: the profile of %s knows no webhooks, so none can be sent", cfg.Plan.Provider.ID)
	case s.secret.IsZero():
		return nil, errors.New("sandbox: webhooks are signed, so a webhook secret is needed")
	default:
		s.scheme, err = verify.Compile(facts.Verify)
		return s, err
	}
}

// enqueue keeps an event to be sent. When too many wait, it is dropped: the
// provider's list of events still has it.
func (s *sender) enqueue(h *happening) {
	select {
	case s.queue <- h:
	default:
		s.log.Warn("sandbox drops a webhook: too many wait", "event", h.id, "type", h.typ, "waiting", maxQueue)
	}
}

// Run sends the events that calls cause, until ctx ends and what is being sent
// is through or given up.
func (s *Sandbox) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, inFlight)
	for {
		select {
		case <-ctx.Done():
			return nil
		case h := <-s.sender.queue:
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				s.sender.deliver(ctx, h, how{})
			})
		}
	}
}

// how an event is sent.
type how struct {
	forged    bool
	signedAgo time.Duration
}

// deliver sends an event until it is accepted or given up. A forged or stale
// one is sent once: nobody repeats those.
func (s *sender) deliver(ctx context.Context, h *happening, how how) []Sent {
	var sent []Sent
	for attempt := 0; ; attempt++ {
		one := s.send(ctx, h, how)
		sent = append(sent, one)
		s.log.Info("sandbox sent a webhook", "event", h.id, "type", h.typ, "attempt", attempt+1, "status", one.Status, "error", one.Error, "took", one.Took)
		if one.Status/100 == 2 || how.forged || how.signedAgo > 0 || attempt == len(retryWaits) {
			return sent
		}
		t := time.NewTimer(retryWaits[attempt])
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return sent
		}
	}
}

func (s *sender) send(ctx context.Context, h *happening, how how) Sent {
	start := time.Now()
	status, err := s.post(ctx, h, how)
	one := Sent{Status: status, Took: time.Since(start)}
	if err != nil {
		one.Error = err.Error()
	}
	return one
}

func (s *sender) post(ctx context.Context, h *happening, how how) (int, error) {
	signed := &extract.Request{Method: http.MethodPost, URL: s.to, Header: h.header.Clone(), Body: h.payload}
	signed.Header.Set("Content-Type", "application/json; charset=utf-8")
	secret := s.secret
	if how.forged {
		secret = forgedSecret
	}
	if err := s.scheme.Sign(signed, secret, s.now().Add(-how.signedAgo)); err != nil {
		return 0, fmt.Errorf("signing: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, signed.Method, signed.URL, bytes.NewReader(signed.Body))
	if err != nil {
		return 0, err
	}
	req.Header = signed.Header
	req.Header.Set("User-Agent", "Sallyport-Sandbox/1 (+https://github.com/sallyport/sallyport)")
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	return resp.StatusCode, nil
}

// forgedSecret is nobody's. Its form fits every key encoding there is.
var forgedSecret = integration.NewSecret("666f726765642d62792d6e6f626f6479")

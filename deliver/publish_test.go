package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/deliver/broker"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// topic is a broker's in memory.
type topic struct {
	credential string
	publish    func(context.Context, broker.Message) error

	mu       sync.Mutex
	messages []broker.Message
	closed   bool
}

func (p *topic) Publish(ctx context.Context, m broker.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("closed")
	}
	if p.publish != nil {
		if err := p.publish(ctx, m); err != nil {
			return err
		}
	}
	p.messages = append(p.messages, m)
	return nil
}

func (p *topic) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

func (p *topic) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// published is a deliverer whose events go to a broker.
type published struct {
	*deliver.Deliverer
	opened []*topic
	log    *lines
	secret string
	fail   func(context.Context, broker.Message) error
}

func onBroker(t *testing.T, format string) *published {
	t.Helper()
	p := testPlan("nats://nats.internal/events.stripe")
	p.Destinations["billing"] = plan.Destination{
		URL: p.Destinations["billing"].URL, Secret: catalog.OneOrMore{"env:X"}, Format: format, Timeout: plan.Duration(5 * time.Second),
	}
	b := &published{log: &lines{}, secret: canary}
	d, err := deliver.New(deliver.Config{
		Services: []deliver.Service{{Plan: p, Secrets: func(string) []integration.Secret { return []integration.Secret{integration.NewSecret(b.secret)} }}},
		Brokers: func(address string, credential integration.Secret) (broker.Publisher, error) {
			if address != "nats://nats.internal/events.stripe" {
				t.Errorf("opened %s", address)
			}
			if credential.Reveal() == "bad" {
				return nil, errors.New("its credential can't be used")
			}
			one := &topic{credential: credential.Reveal(), publish: b.fail}
			b.opened = append(b.opened, one)
			return one, nil
		},
		Log: slog.New(slog.NewJSONHandler(b.log, nil)), Dice: func() float64 { return 0 }, Redelivery: []time.Duration{4 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	b.Deliverer = d
	return b
}

// R5.8: the CloudEvent is the message, its attributes stand beside it, and an
// event that a person asked for again is no repeat to the broker.
func TestPublished(t *testing.T) {
	t.Parallel()
	b := onBroker(t, "")
	e := testEvent("invoice.paid", paid)
	if out := b.Deliver(t.Context(), e); out.Status != integration.EventProcessed || out.Deliveries[0].State != integration.DeliverySucceeded || out.Deliveries[0].Status != 0 {
		t.Fatalf("outcome %+v", out)
	}
	e.Attempts, e.RetriedAfter, e.Replays, e.Subject, e.Tenant = 2, 1, 1, "", "a\r\nb"
	if out := b.Deliver(t.Context(), e); out.Status != integration.EventProcessed {
		t.Fatalf("outcome %+v", out)
	}
	first, again := b.opened[0].messages[0], b.opened[0].messages[1]
	for name, want := range map[string]string{
		"ce-specversion": "1.0", "ce-id": "0193-event", "ce-type": "stripe.invoice.paid", "ce-source": "sallyport/stripe", "ce-subject": "in_1",
		"ce-tenant": "acme", "ce-time": "2026-11-24T08:00:00Z", "content-type": "application/cloudevents+json; charset=utf-8",
	} {
		if first.Header[name] != want {
			t.Errorf("%s is %q, want %q", name, first.Header[name], want)
		}
	}
	if first.ID != "0193-event" || first.Key != "in_1" || gjson.GetBytes(first.Body, "data.amountDue").String() != "19.90" {
		t.Errorf("published %+v %s", first, first.Body)
	}
	if again.ID == first.ID || again.Header["ce-id"] != first.Header["ce-id"] || again.Key != "a\r\nb" || again.Header["ce-tenant"] != "ab" {
		t.Errorf("published again as %+v", again)
	}
	if len(b.opened) != 1 {
		t.Errorf("opened %d times", len(b.opened))
	}
	if strings.Contains(b.log.String(), canary) {
		t.Errorf("the log tells the credential: %s", b.log)
	}
}

// R5.8: raw is the provider's own body and header on a broker as well.
func TestPublishedRaw(t *testing.T) {
	t.Parallel()
	b := onBroker(t, "raw")
	e := testEvent("customer.made", "%%% no JSON")
	e.Header = map[string][]string{"Content-Type": {"text/plain"}, integration.SignedPrefix + "Stripe-Signature": {"t=1,v1=x"}}
	if out := b.Deliver(t.Context(), e); out.Status != integration.EventProcessed {
		t.Fatalf("outcome %+v", out)
	}
	m := b.opened[0].messages[0]
	if string(m.Body) != "%%% no JSON" || m.Header["stripe-signature"] != "t=1,v1=x" || m.Header["content-type"] != "text/plain" || m.Header["sallyport-event"] != "0193-event" {
		t.Errorf("published %v %s", m.Header, m.Body)
	}
}

// R5.8: what the broker has not acknowledged is tried again on the schedule; what
// it never takes is not.
func TestNotAcknowledged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail func(context.Context, broker.Message) error
		want integration.EventStatus
		says string
	}{
		"away":      {func(context.Context, broker.Message) error { return errors.New("connection refused") }, integration.EventReceived, "connection refused"},
		"too large": {func(context.Context, broker.Message) error { return fmt.Errorf("NATS: %w", broker.ErrTooLarge) }, integration.EventFailed, "larger than the broker takes"},
		"silent":    {func(ctx context.Context, _ broker.Message) error { <-ctx.Done(); return ctx.Err() }, integration.EventReceived, "did not answer in time (5s)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := onBroker(t, "")
				b.fail = c.fail
				out := b.Deliver(t.Context(), testEvent("invoice.paid", paid))
				if out.Status != c.want || !strings.Contains(out.Error, c.says) || len(b.opened[0].messages) != 0 {
					t.Errorf("outcome %+v", out)
				}
				if due := out.DueAt; c.want == integration.EventReceived && !due.Equal(time.Now().Add(4*time.Second)) || c.want == integration.EventFailed && !due.IsZero() {
					t.Errorf("due in %s", time.Until(due))
				}
			})
		})
	}
}

// R2.7: another credential opens the topic anew and closes the old one once
// nobody uses it; one that can't be used is a failed attempt.
func TestCredentialOfABrokerIsSwapped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := onBroker(t, "")
		deliverOnce := func() integration.Outcome { return b.Deliver(t.Context(), testEvent("invoice.paid", paid)) }
		deliverOnce()
		b.secret = "bad"
		if out := deliverOnce(); out.Status != integration.EventReceived || !strings.Contains(out.Error, "credential can't be used") || b.opened[0].isClosed() {
			t.Errorf("outcome %+v", out)
		}
		b.secret = "another"
		deliverOnce()
		synctest.Wait()
		if len(b.opened) != 2 || b.opened[1].credential != "another" || !b.opened[0].isClosed() || b.opened[1].isClosed() {
			t.Errorf("%d topics were opened", len(b.opened))
		}
		b.Close()
		if !b.opened[1].isClosed() {
			t.Error("Close leaves a topic open")
		}
		if out := deliverOnce(); out.Status != integration.EventReceived || !strings.Contains(out.Error, "stopped") || len(b.opened) != 2 {
			t.Errorf("after Close: %+v", out)
		}
	})
}

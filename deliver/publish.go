package deliver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/deliver/broker"
	"github.com/sallyport/sallyport/integration"
)

// OpenBroker opens the topic at an address; it is broker.Open with its options
// filled in. It must not wait for the broker.
type OpenBroker func(address string, credential integration.Secret) (broker.Publisher, error)

// brokers are the topics that are open, one for each address and credential.
type brokers struct {
	open OpenBroker

	mu     sync.Mutex
	topics map[string]*topic // by address
	closed bool
}

// topic is one that is open, and how many are publishing on it.
type topic struct {
	broker.Publisher
	credential integration.Secret // what it was opened with
	using      sync.WaitGroup
}

// errStopped is for deliveries that come after Close.
var errStopped = errors.New("the gateway has stopped")

// take returns the topic of a destination; who has published must call done.
// When the credential is another than before, the topic is opened anew, and the
// old one closed after its last publisher.
func (b *brokers) take(to *destination) (t *topic, done func(), err error) {
	credential := integration.Secret{}
	if given := to.secrets(); len(given) > 0 {
		credential = given[0]
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, nil, errStopped
	}
	t = b.topics[to.URL]
	if t == nil || t.credential != credential {
		fresh, err := b.open(to.URL, credential)
		if err != nil {
			return nil, nil, err
		}
		if t != nil {
			go t.close()
		}
		t = &topic{Publisher: fresh, credential: credential}
		if b.topics == nil {
			b.topics = map[string]*topic{}
		}
		b.topics[to.URL] = t
	}
	t.using.Add(1)
	return t, t.using.Done, nil
}

func (t *topic) close() {
	t.using.Wait()
	_ = t.Close() // nothing waits to be sent
}

// close closes all topics; nothing is published any more.
func (b *brokers) close() {
	b.mu.Lock()
	b.closed = true
	topics := b.topics
	b.topics = nil
	b.mu.Unlock()
	for _, t := range topics {
		t.close()
	}
}

// publish hands the event to a broker once. What the broker has not acknowledged
// counts as a failed attempt, whatever became of it.
func (d *Deliverer) publish(ctx context.Context, to *destination, e integration.Event, data []byte) result {
	timeout := to.Timeout.Or(defaultTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	t, done, err := d.brokers.take(to)
	if err != nil {
		return result{err: fmt.Errorf("destination %s: %w", to.name, err)}
	}
	defer done()
	err = t.Publish(ctx, brokerMessage(to, e, data))
	switch {
	case err == nil:
		return result{}
	case errors.Is(context.Cause(ctx), errTimeout):
		return result{err: fmt.Errorf("%w (%s)", errTimeout, timeout)}
	}
	return result{err: err, final: errors.Is(err, broker.ErrTooLarge)}
}

// brokerMessage is a delivery as brokers take it: the same body as over HTTP, and
// beside it the attributes of the CloudEvent, so that it can be routed without
// being read. It is not signed: who may publish is the broker's to say.
func brokerMessage(to *destination, e integration.Event, data []byte) broker.Message {
	m := messageOf(to, e, data)
	out := broker.Message{ID: publishedAs(e), Key: e.Subject, Body: m.body, Header: make(map[string]string, len(m.header)+8)}
	if out.Key == "" {
		out.Key = e.Tenant
	}
	for name, values := range m.header {
		out.Header[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	set := func(name, value string) {
		if value != "" {
			out.Header[name] = printable(value)
		}
	}
	set("ce-specversion", "1.0")
	set("ce-id", e.ID)
	set("ce-type", eventType(e))
	set("ce-source", "sallyport/"+e.Service)
	set("ce-subject", e.Subject)
	set("ce-tenant", e.Tenant)
	if !e.OccurredAt.IsZero() {
		set("ce-time", e.OccurredAt.UTC().Format(time.RFC3339Nano))
	}
	if e.Gone {
		set("ce-sallyportgone", "true")
	}
	return out
}

// publishedAs is by which a broker knows repeats. An event that a person asked
// for again is none.
func publishedAs(e integration.Event) string {
	if e.RetriedAfter == 0 {
		return e.ID
	}
	return fmt.Sprintf("%s.%d", e.ID, e.RetriedAfter)
}

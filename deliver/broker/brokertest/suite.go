// Package brokertest is what every broker.Publisher is held to.
package brokertest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/deliver/broker"
	"github.com/sallyport/sallyport/integration"
)

// Harness is one broker with one topic.
type Harness struct {
	Address string
	Options broker.Options
	// Received are the messages that the broker has, in any order. Header names
	// are in lower case.
	Received func(t testing.TB) []broker.Message
	// Refuses makes an address and options whose credential the broker refuses;
	// nil where the broker asks for none.
	Refuses func() (address string, o broker.Options)
	// Stop and Start take the broker away and bring it back at the same address;
	// nil where that can't be had.
	Stop, Start func(t testing.TB)
}

// canary is in every credential that is refused.
const canary = "credential-canary"

// Wrong is a credential that no broker takes, of two halves.
func Wrong() integration.Secret { return integration.NewSecret("somebody:" + canary) }

// Run holds a broker to the suite; make is called once for each part.
func Run(t *testing.T, make func(t *testing.T) Harness) {
	t.Helper()
	for name, part := range map[string]func(*testing.T, Harness){
		"whole": whole, "many": many, "cancelled": cancelled, "closed": closed, "refused": refused, "away": away,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part(t, make(t))
		})
	}
}

func opened(t *testing.T, h Harness) broker.Publisher {
	t.Helper()
	p, err := broker.Open(h.Address, h.Options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// whole: a message that was acknowledged is there at once, to the byte, with its
// metadata.
func whole(t *testing.T, h Harness) {
	p := opened(t, h)
	for i, body := range [][]byte{[]byte(`{"specversion":"1.0","data":"Grüße"}`), {0, 1, 0xff, '\n'}, bytes.Repeat([]byte("x"), 100_000)} {
		sent := broker.Message{
			ID: fmt.Sprintf("0193-%d", i), Key: "in_1", Body: body,
			Header: map[string]string{"ce-id": fmt.Sprintf("0193-%d", i), "content-type": "application/cloudevents+json", "ce-tenant": "Zürich\r\nX-Evil: 1"},
		}
		if err := p.Publish(soon(t), sent); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, m := range h.Received(t) {
			if m.Header["ce-id"] != sent.Header["ce-id"] {
				continue
			}
			found = true
			if !bytes.Equal(m.Body, body) {
				t.Errorf("the body is %.60q, want %.60q", m.Body, body)
			}
			if m.Header["content-type"] != sent.Header["content-type"] || m.Header["x-evil"] != "" || !strings.HasPrefix(m.Header["ce-tenant"], "Zürich") {
				t.Errorf("the header is %v", m.Header)
			}
		}
		if !found {
			t.Fatalf("message %d was acknowledged and is not there", i)
		}
	}
}

// many: publishers at the same time.
func many(t *testing.T, h Harness) {
	p := opened(t, h)
	const publishers, each = 8, 10
	var all sync.WaitGroup
	for n := range publishers {
		all.Go(func() {
			for i := range each {
				id := fmt.Sprintf("0193-%d-%d", n, i)
				if err := p.Publish(soon(t), broker.Message{ID: id, Key: fmt.Sprint(n), Body: []byte(id), Header: map[string]string{"ce-id": id}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got := map[string]bool{}
	for _, m := range h.Received(t) {
		got[string(m.Body)] = true
	}
	if len(got) != publishers*each {
		t.Errorf("%d messages are there, want %d", len(got), publishers*each)
	}
}

// cancelled: who does not wait any more gets an error.
func cancelled(t *testing.T, h Harness) {
	p := opened(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Publish(ctx, broker.Message{ID: "0193", Body: []byte("x")}); err == nil {
		t.Error("it counts as published")
	}
	if err := p.Publish(soon(t), broker.Message{ID: "0194", Body: []byte("y")}); err != nil {
		t.Errorf("the next can't publish: %v", err)
	}
}

// closed: nothing is published any more, and closing twice is harmless.
func closed(t *testing.T, h Harness) {
	p := opened(t, h)
	if err := p.Publish(soon(t), broker.Message{ID: "0193", Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	before := len(h.Received(t))
	if err := p.Publish(soon(t), broker.Message{ID: "0194", Body: []byte("y")}); err == nil || len(h.Received(t)) != before {
		t.Errorf("published after Close: %v", err)
	}
}

// refused: a credential that the broker does not take is an error that does not
// tell it.
func refused(t *testing.T, h Harness) {
	if h.Refuses == nil {
		t.Log("this broker takes everybody")
		return
	}
	h.Address, h.Options = h.Refuses()
	p := opened(t, h)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err := p.Publish(ctx, broker.Message{ID: "0193", Body: []byte("x")})
	if err == nil {
		t.Fatal("anybody can publish")
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("the error tells the credential: %v", err)
	}
	if n := len(h.Received(t)); n != 0 {
		t.Errorf("%d messages are there", n)
	}
}

// away: a broker that can't be reached is an error in time, and no more than
// that: when it is back, the same Publisher publishes.
func away(t *testing.T, h Harness) {
	if h.Stop == nil {
		t.Log("this broker can't be stopped")
		return
	}
	p := opened(t, h)
	if err := p.Publish(soon(t), broker.Message{ID: "0193", Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	h.Stop(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	started := time.Now()
	if err := p.Publish(ctx, broker.Message{ID: "0194", Body: []byte("y")}); err == nil {
		t.Error("it counts as published")
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("the error took %s", took)
	}
	h.Start(t)
	ctx = soon(t)
	for {
		err := p.Publish(ctx, broker.Message{ID: "0195", Body: []byte("z")})
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("it is back and nobody publishes: %v", err)
		}
	}
}

package nasty

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// client is one nasty client: run returns the answers it got and how the
// connection ended, one of want if all is well.
type client struct {
	name string
	run  func(ctx context.Context, address string) string
	want []string
}

// head is the beginning of a request to the door, without the end of its
// headers.
func head(more ...string) string {
	lines := append([]string{"POST " + door + " HTTP/1.1", "Host: gateway.example", "Content-Type: application/json"}, more...)
	return strings.Join(lines, "\r\n") + "\r\n"
}

const end = "\r\n"

// says is a client that says something and listens.
func says(text string) func(context.Context, string) string {
	return func(ctx context.Context, address string) string {
		c, err := dial(ctx, address)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		c.say(text)
		return c.outcome(slack)
	}
}

// saysAndEnds is says, and then sends no more.
func saysAndEnds(text string) func(context.Context, string) string {
	return func(ctx context.Context, address string) string {
		c, err := dial(ctx, address)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		c.say(text)
		_ = c.CloseWrite()
		return c.outcome(slack)
	}
}

// drips says begin and then drop, again and again.
func drips(begin, drop string, every, patience time.Duration) func(context.Context, string) string {
	return func(ctx context.Context, address string) string {
		c, err := dial(ctx, address)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		c.say(begin)
		ended := make(chan string, 1)
		go func() { ended <- c.outcome(patience) }()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.say(drop)
			case outcome := <-ended:
				return outcome
			}
		}
	}
}

// leaves says something and tears the connection down without a farewell.
func leaves(text string) func(context.Context, string) string {
	return func(ctx context.Context, address string) string {
		for range 20 {
			c, err := dial(ctx, address)
			if err != nil {
				return err.Error()
			}
			c.say(text)
			_ = c.SetLinger(0) // a reset
			c.Close()
		}
		return "left"
	}
}

// all runs clients one after the other; each has to end alike.
func all(texts ...string) func(context.Context, string) string {
	return func(ctx context.Context, address string) string {
		first := ""
		for n, text := range texts {
			outcome := says(text)(ctx, address)
			if n > 0 && outcome != first {
				return fmt.Sprintf("%q for the first, %q for number %d", first, outcome, n+1)
			}
			first = outcome
		}
		return first
	}
}

// signed is a rightly signed request, so that only what is nasty about it keeps
// it out. The lines come after the signature.
func signed(id string, lines func(payload string) []string) (start, payload string) {
	body, signature := event(id, time.Now())
	return head(append([]string{"Stripe-Signature: " + signature, "Connection: close"}, lines(string(body))...)...), string(body)
}

func lengthOf(more int) func(string) []string {
	return func(payload string) []string { return []string{fmt.Sprintf("Content-Length: %d", len(payload)+more)} }
}

// many says the same on many connections at once and returns how they ended, if
// they ended alike.
func many(n int, run func(ctx context.Context, address string) string) func(context.Context, string) string {
	return func(ctx context.Context, address string) string {
		outcomes := make(chan string, n)
		var running sync.WaitGroup
		for range n {
			running.Go(func() { outcomes <- run(ctx, address) })
		}
		running.Wait()
		first := <-outcomes
		for range n - 1 {
			if other := <-outcomes; other != first {
				return first + " and " + other
			}
		}
		return first
	}
}

// stale sends rightly signed events that were signed long ago.
func stale(ctx context.Context, address string) string {
	c, err := dial(ctx, address)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	for n := range 500 {
		payload, signature := event(fmt.Sprintf("evt_nasty_stale_%d", n), time.Now().Add(-time.Hour))
		last := ""
		if n == 499 {
			last = "Connection: close"
		}
		lines := []string{"Stripe-Signature: " + signature, fmt.Sprintf("Content-Length: %d", len(payload))}
		if last != "" {
			lines = append(lines, last)
		}
		c.say(head(lines...) + end + string(payload))
	}
	return shortened(c.outcome(slack))
}

// shortened writes a row of equal answers as one.
func shortened(outcome string) string {
	answers := strings.Fields(outcome)
	counted, row := []string{}, 0
	for n, a := range answers {
		row++
		if n+1 < len(answers) && answers[n+1] == a {
			continue
		}
		if row > 1 {
			a = fmt.Sprintf("%d×%s", row, a)
		}
		counted, row = append(counted, a), 0
	}
	return strings.Join(counted, " ")
}

// deaf sends requests and never reads an answer.
func deaf(ctx context.Context, address string) string {
	c, err := dial(ctx, address)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	_ = c.SetReadBuffer(4096)
	request := strings.Repeat(head("Content-Length: 2")+end+"{}", 50)
	// The gateway's patience begins when the buffers between are full, which takes
	// a busy machine a minute.
	const patience = 4 * bodyTimeout
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	for began := time.Now(); time.Since(began) < patience; {
		if _, err := c.Write([]byte(request)); err != nil {
			if late, ok := err.(net.Error); ok && late.Timeout() { //nolint:errorlint // from the connection itself
				return "open"
			}
			return "closed"
		}
	}
	return "open"
}

// endless sends a body in chunks that never ends.
func endless(ctx context.Context, address string) string {
	c, err := dial(ctx, address)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.say(head("Transfer-Encoding: chunked") + end)
	chunk := "10000\r\n" + strings.Repeat("x", 0x10000) + "\r\n"
	ended := make(chan string, 1)
	go func() { ended <- c.outcome(slack) }()
	for n := 0; n < 10_000 && c.say(chunk); n++ {
		continue
	}
	return <-ended
}

// greets speaks TLS to a port that does not.
func greets(ctx context.Context, address string) string {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // nothing is said over it
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		c.Close()
		return "a TLS connection"
	}
	return "no TLS"
}

// zipped is a small body that is 50 MB of zeros when it is unpacked.
func zipped() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range 50 {
		_, _ = w.Write(zeros)
	}
	_ = w.Close()
	return b.String()
}

// pipelined sends many requests before it reads an answer.
func pipelined(ctx context.Context, address string) string {
	one := head("Content-Length: 2") + end + "{}"
	text := strings.Repeat(one, 99) + head("Content-Length: 2", "Connection: close") + end + "{}"
	return shortened(says(text)(ctx, address))
}

// doubled sends two signature headers: one made up, one right and of another
// event.
func doubled(ctx context.Context, address string) string {
	payload, _ := event("evt_nasty_doubled", time.Now())
	_, another := event("evt_nasty_another", time.Now())
	lines := []string{"Stripe-Signature: t=1,v1=00", "Stripe-Signature: " + another, fmt.Sprintf("Content-Length: %d", len(payload)), "Connection: close"}
	return says(head(lines...)+end+string(payload))(ctx, address)
}

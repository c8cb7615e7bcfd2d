package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

// natsTopic publishes on a subject that a JetStream stream keeps. Without a
// stream nobody would say that the message is safe, so that is an error.
type natsTopic struct {
	subject string
	conn    *nats.Conn
	stream  jetstream.JetStream
}

// natsDialer gives our dialer to the client, which has no context for it.
type natsDialer struct{ o Options }

// Dial opens a connection to a server.
func (d natsDialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return d.o.Dial(ctx, network, address)
}

func openNATS(ctx context.Context, t target, o Options) (Publisher, error) {
	login, err := natsLogin(o)
	if err != nil {
		return nil, err
	}
	options := slices.Concat(login, []nats.Option{
		nats.Name("sallyport"), nats.SetCustomDialer(natsDialer{o}), nats.Timeout(5 * time.Second),
		// What could not be sent is the event's to try again, not the connection's
		// to keep.
		nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.ReconnectWait(time.Second),
	})
	if t.tls(false) { // a server that asks for TLS gets it in any case
		options = append(options, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	type connected struct {
		conn *nats.Conn
		err  error
	}
	done := make(chan connected, 1)
	go func() {
		conn, err := nats.Connect("nats://"+t.hostPort("4222"), options...)
		done <- connected{conn, err}
	}()
	var c connected
	select {
	case c = <-done:
	case <-ctx.Done():
		go func() {
			if late := <-done; late.conn != nil {
				late.conn.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
	if c.err != nil {
		return nil, fmt.Errorf("NATS: %w", c.err)
	}
	stream, err := jetstream.New(c.conn)
	if err != nil {
		c.conn.Close()
		return nil, fmt.Errorf("NATS: %w", err)
	}
	return &natsTopic{subject: t.path, conn: c.conn, stream: stream}, nil
}

// natsLogin reads the credential, or those variables that the nats command
// reads.
func natsLogin(o Options) ([]nats.Option, error) {
	text := strings.TrimSpace(o.Credential.Reveal())
	if text == "" {
		if file, ok := o.Lookup("NATS_CREDS"); ok && file != "" {
			content, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("%w: NATS_CREDS: %w", errCredential, err)
			}
			text = strings.TrimSpace(string(content))
		} else if user, ok := o.Lookup("NATS_USER"); ok && user != "" {
			password, _ := o.Lookup("NATS_PASSWORD")
			return []nats.Option{nats.UserInfo(user, password)}, nil
		}
	}
	switch {
	case text == "":
		return nil, nil
	case strings.Contains(text, "-----BEGIN NATS USER JWT-----"):
		return []nats.Option{nats.UserCredentialBytes([]byte(text))}, nil
	case strings.HasPrefix(text, "SU") && len(text) == 58: // a seed of a user, in base32
		pair, err := nkeys.FromSeed([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("%w: it looks like an nkey seed and is none", errCredential)
		}
		public, err := pair.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("%w: its nkey has no public half", errCredential)
		}
		return []nats.Option{nats.Nkey(public, pair.Sign)}, nil
	case strings.Contains(text, ":"):
		user, password, _ := strings.Cut(text, ":")
		return []nats.Option{nats.UserInfo(user, password)}, nil
	}
	return []nats.Option{nats.Token(text)}, nil
}

// Publish returns when the stream has the message.
func (n *natsTopic) Publish(ctx context.Context, m Message) error {
	header := make(nats.Header, len(m.Header))
	for name, value := range m.Header {
		header.Set(name, oneLine(value))
	}
	_, err := n.stream.PublishMsg(ctx, &nats.Msg{Subject: n.subject, Header: header, Data: m.Body}, jetstream.WithMsgID(m.ID), jetstream.WithRetryAttempts(0))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("NATS: %w", ErrTooLarge)
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return errors.New("NATS: the server is not reached at the moment")
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("NATS: no JetStream stream keeps the subject %q, so nobody says that the event is safe; add it to a stream", n.subject)
	}
	return fmt.Errorf("NATS: %w", err)
}

// Close ends the connection.
func (n *natsTopic) Close() error {
	n.conn.Close()
	return nil
}

// oneLine is text as it may stand in a header.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

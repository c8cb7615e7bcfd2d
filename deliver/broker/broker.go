// Package broker publishes messages on NATS, Kafka, Amazon SQS and Google Cloud
// Pub/Sub. A message counts as published when the broker has it: a JetStream
// stream, all in-sync replicas of a partition, the queue or the topic answered
// so. Anything else is an error, and the caller publishes again; so each message
// arrives at least once, and may arrive twice.
//
// It is a thin layer over each broker's own client, which knows the protocol;
// docs/decisions says why not over one library for all of them.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/send"
)

// Message is one message, in the words that all brokers have.
type Message struct {
	// ID is the same whenever the same thing is published again. Brokers that
	// drop repeats (JetStream, FIFO queues) know them by it.
	ID string
	// Key keeps messages in order where the broker does that: those with the same
	// key share a partition or a message group. Empty: any order.
	Key  string
	Body []byte
	// Header is metadata beside the body, one value a name.
	Header map[string]string
}

// Publisher publishes on one topic. It is safe for use by many goroutines.
type Publisher interface {
	// Publish returns nil when the broker has acknowledged the message. On an
	// error it may have it all the same.
	Publish(ctx context.Context, m Message) error
	// Close gives the connections up. Publish fails from then on.
	Close() error
}

// Options are what Open needs beside the address. The zero Options are of use.
type Options struct {
	// Credential is what we log in with; zero takes what the broker's tools take
	// from the environment, or nothing. NATS: a token, user:password, an nkey
	// seed, or the text of a .creds file. Kafka: user:password. SQS:
	// access-key-id:secret-access-key. Pub/Sub: the JSON of a service account.
	Credential integration.Secret
	// Lookup reads the environment; nil reads none of it, but for what the AWS
	// and Google libraries read by themselves.
	Lookup func(string) (string, bool)
	// Dial opens connections to the broker; nil refuses link-local and metadata
	// addresses, and no others.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// ErrTooLarge says that the broker takes no message of that size: publishing it
// again can't help.
var ErrTooLarge = errors.New("the message is larger than the broker takes")

// errCredential is wrapped by those who can't read a credential; its value is
// never told.
var errCredential = errors.New("its credential can't be used")

// target is an address, taken apart.
type target struct {
	kind  string // nats, kafka, awssqs, gcppubsub
	host  string
	path  string // without the slash in front
	query url.Values
}

// settings are the query parameters each kind of address may have.
var settings = map[string][]string{
	"nats":      {"tls"},
	"kafka":     {"tls", "sasl"},
	"awssqs":    {"tls", "region"},
	"gcppubsub": {},
}

// parse reads an address of a broker.
func parse(address string) (target, error) {
	u, err := url.Parse(address)
	if err != nil { // the error of url would repeat the address
		return target{}, errors.New("it is no URL")
	}
	t := target{kind: u.Scheme, host: u.Host, path: strings.Trim(u.Path, "/"), query: u.Query()}
	known, ok := settings[t.kind]
	switch {
	case !ok:
		return target{}, fmt.Errorf("there is no broker for %s:// addresses; there is nats, kafka, awssqs and gcppubsub", u.Scheme)
	case u.User != nil:
		return target{}, errors.New("a credential does not belong into the address; name it as the destination's secret")
	case t.host == "" || t.path == "":
		return target{}, fmt.Errorf("it names no topic; write %s", example[t.kind])
	case t.kind != "awssqs" && strings.Contains(t.path, "/"):
		return target{}, fmt.Errorf("its topic has a slash; write %s", example[t.kind])
	case t.kind == "nats" && strings.ContainsAny(t.path, "*> \t\r\n"):
		return target{}, errors.New("its subject has a wildcard or a space; events are published on one subject")
	}
	for name, values := range t.query {
		if !slices.Contains(known, name) {
			return target{}, fmt.Errorf("it has no setting %q; it may have %s", name, strings.Join(known, ", "))
		}
		if name == "tls" && values[0] != "true" && values[0] != "false" {
			return target{}, errors.New("tls is true or false")
		}
	}
	return t, nil
}

var example = map[string]string{
	"nats": "nats://HOST:4222/SUBJECT", "kafka": "kafka://HOST:9092/TOPIC",
	"awssqs": "awssqs://sqs.REGION.amazonaws.com/ACCOUNT/QUEUE", "gcppubsub": "gcppubsub://PROJECT/TOPIC",
}

// tls says whether the address asks for TLS; otherwise is what it means when it
// says nothing.
func (t target) tls(otherwise bool) bool {
	switch t.query.Get("tls") {
	case "true":
		return true
	case "false":
		return false
	}
	return otherwise
}

// hostPort is the host with a port.
func (t target) hostPort(port string) string {
	if _, _, err := net.SplitHostPort(t.host); err == nil {
		return t.host
	}
	return net.JoinHostPort(strings.Trim(t.host, "[]"), port)
}

// Check says what is wrong with an address, without opening a connection.
func Check(address string) error {
	t, err := parse(address)
	if err != nil {
		return err
	}
	if t.kind == "awssqs" {
		_, err = t.region(nil)
	}
	return err
}

// Open returns a Publisher of the topic at the address. It opens no connection:
// the first Publish does.
func Open(address string, o Options) (Publisher, error) {
	t, err := parse(address)
	if err != nil {
		return nil, err
	}
	if o.Lookup == nil {
		o.Lookup = func(string) (string, bool) { return "", false }
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, ControlContext: send.OwnAddress}).DialContext
	}
	switch t.kind {
	case "nats":
		return openLater(func(ctx context.Context) (Publisher, error) { return openNATS(ctx, t, o) }), nil
	case "kafka":
		return openKafka(t, o)
	case "awssqs":
		return openLater(func(ctx context.Context) (Publisher, error) { return openSQS(ctx, t, o) }), nil
	default:
		return openLater(func(ctx context.Context) (Publisher, error) { return openPubSub(ctx, t, o) }), nil
	}
}

// pair takes a credential of two halves apart.
func pair(s integration.Secret) (first, second string, err error) {
	first, second, ok := strings.Cut(strings.TrimSpace(s.Reveal()), ":")
	if !ok || first == "" || second == "" {
		return "", "", fmt.Errorf("%w: it is not of the form NAME:PASSWORD", errCredential)
	}
	return first, second, nil
}

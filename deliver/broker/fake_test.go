package broker_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/deliver/broker"
	"github.com/sallyport/sallyport/deliver/broker/brokertest"
	"github.com/sallyport/sallyport/integration"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake speaks as much of SQS and Pub/Sub as publishing takes. It is no broker:
// it stands in for two that can't be had in a test.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	messages []broker.Message
	address  string
}

func newFake(t *testing.T, handle func(*fake) http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(handle(f))
	f.address = strings.TrimPrefix(f.URL, "http://")
	t.Cleanup(func() { f.Close() })
	return f
}

func (f *fake) received(testing.TB) []broker.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]broker.Message(nil), f.messages...)
}

func (f *fake) stop(testing.TB) { f.CloseClientConnections(); f.Close() }

// start listens at the same address again.
func (f *fake) start(t testing.TB) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	again := &httptest.Server{Listener: listener, Config: &http.Server{Handler: f.Config.Handler}} //nolint:gosec // a test
	again.Start()
	t.Cleanup(again.Close)
}

func (f *fake) keep(m broker.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.messages = append(f.messages, m)
}

// sqs is SendMessage of the JSON protocol (API reference of SQS).
func sqs(f *fake) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			MessageBody, QueueUrl, MessageGroupId, MessageDeduplicationId string //nolint:revive,staticcheck // as SQS writes them
			MessageAttributes                                             map[string]struct{ DataType, StringValue string }
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		refuse := func(status int, code, message string) {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws.sqs#" + code, "message": message})
		}
		switch {
		case r.Header.Get("X-Amz-Target") != "AmazonSQS.SendMessage" || json.Unmarshal(body, &in) != nil:
			refuse(400, "InvalidAction", "what")
			return
		case !strings.Contains(r.Header.Get("Authorization"), "Credential=AKID/") || !strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/sqs/"):
			refuse(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
			return
		case len(in.MessageAttributes) > 10 || in.MessageBody == "":
			refuse(400, "InvalidParameterValue", "attributes")
			return
		case len(in.MessageBody) > 1<<20:
			refuse(400, "InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.")
			return
		}
		m := broker.Message{ID: in.MessageDeduplicationId, Key: in.MessageGroupId, Body: []byte(in.MessageBody), Header: map[string]string{}}
		for name, v := range in.MessageAttributes {
			m.Header[name] = v.StringValue
		}
		if m.Header["sallyport-encoding"] == "base64" {
			m.Body, _ = base64.StdEncoding.DecodeString(in.MessageBody)
		}
		f.keep(m)
		_, _ = io.WriteString(w, `{"MessageId":"1"}`)
	}
}

func TestSQS(t *testing.T) {
	t.Parallel()
	brokertest.Run(t, func(t *testing.T) brokertest.Harness {
		t.Helper()
		f := newFake(t, sqs)
		address := "awssqs://" + f.address + "/0123456789/events?tls=false&region=eu-central-1"
		return brokertest.Harness{
			Address: address, Options: broker.Options{Credential: integration.NewSecret("AKID:secret")}, Received: f.received, Stop: f.stop, Start: f.start,
			Refuses: func() (string, broker.Options) { return address, broker.Options{Credential: brokertest.Wrong()} },
		}
	})
}

// A FIFO queue keeps the order of a key and drops repeats; many headers travel as
// one attribute; a message that is too large is said to be.
func TestSQSMessages(t *testing.T) {
	t.Parallel()
	f := newFake(t, sqs)
	p, err := broker.Open("awssqs://"+f.address+"/0123456789/events.fifo?tls=false", broker.Options{
		Credential: integration.NewSecret("AKID:secret"), Lookup: func(name string) (string, bool) { return "eu-central-1", name == "AWS_REGION" },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close() //nolint:errcheck // idle connections
	header := map[string]string{"ce-id": "0193", "content-type": "application/json", "sallyport-type": "stripe.invoice.paid", "x-empty": ""}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		header["x-"+name] = name
	}
	if err := p.Publish(t.Context(), broker.Message{ID: "0193", Key: "Zürich 1", Body: []byte("{}"), Header: header}); err != nil {
		t.Fatal(err)
	}
	m := f.received(t)[0]
	var rest map[string]string
	if err := json.Unmarshal([]byte(m.Header["sallyport-header"]), &rest); err != nil || rest["x-h"] != "h" || m.Header["ce-id"] != "0193" || m.Header["sallyport-type"] == "" {
		t.Errorf("%v: %v", err, m.Header)
	}
	if m.ID != "0193" || len(m.Key) != 64 {
		t.Errorf("group %q, id %q", m.Key, m.ID)
	}
	err = p.Publish(t.Context(), broker.Message{ID: "0194", Body: make([]byte, 1<<20)})
	tooLarge(t, err)
}

// pubSub is projects.topics.publish (REST reference of Pub/Sub, v1).
func pubSub(f *fake) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Messages []struct {
				Data       []byte
				Attributes map[string]string
			}
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method != http.MethodPost || r.URL.Path != "/v1/projects/shop/topics/events:publish":
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error":{"code":404,"message":"Resource not found (resource=events).","status":"NOT_FOUND"}}`)
			return
		case json.Unmarshal(body, &in) != nil || len(in.Messages) != 1:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"code":400,"message":"Invalid JSON","status":"INVALID_ARGUMENT"}}`)
			return
		case len(body) > 10_000_000:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"code":400,"message":"The value for message_count is too large.","status":"INVALID_ARGUMENT"}}`)
			return
		}
		f.keep(broker.Message{Body: in.Messages[0].Data, Header: in.Messages[0].Attributes})
		_, _ = io.WriteString(w, `{"messageIds":["1"]}`)
	}
}

func emulated(f *fake) broker.Options {
	return broker.Options{Lookup: func(name string) (string, bool) { return f.address, name == "PUBSUB_EMULATOR_HOST" }}
}

func TestPubSub(t *testing.T) {
	t.Parallel()
	brokertest.Run(t, func(t *testing.T) brokertest.Harness {
		t.Helper()
		f := newFake(t, pubSub)
		return brokertest.Harness{Address: "gcppubsub://shop/events", Options: emulated(f), Received: f.received, Stop: f.stop, Start: f.start}
	})
}

func TestPubSubRefusals(t *testing.T) {
	t.Parallel()
	f := newFake(t, pubSub)
	open := func(address string, o broker.Options) broker.Publisher {
		p, err := broker.Open(address, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	err := open("gcppubsub://shop/other", emulated(f)).Publish(t.Context(), broker.Message{})
	if err == nil || !strings.Contains(err.Error(), "NOT_FOUND: Resource not found") {
		t.Errorf("got %v", err)
	}
	p := open("gcppubsub://shop/events", emulated(f))
	tooLarge(t, p.Publish(t.Context(), broker.Message{Body: make([]byte, 8_000_000)}))
	tooLarge(t, p.Publish(t.Context(), broker.Message{Header: map[string]string{"a": strings.Repeat("x", 1025)}}))
	err = open("gcppubsub://shop/events", broker.Options{Credential: integration.NewSecret(`{"private_key":"credential-canary`)}).Publish(t.Context(), broker.Message{})
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}

func tooLarge(t *testing.T, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), broker.ErrTooLarge.Error()) {
		t.Errorf("got %v", err)
	}
}

// Addresses: what is wrong with them is said, and a credential in one is not.
func TestCheck(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"nats://127.0.0.1:4222/events.stripe": "", "nats://nats.example/events?tls=true": "", "kafka://k.example/events?sasl=scram-sha-512&tls=true": "",
		"awssqs://sqs.eu-central-1.amazonaws.com/1/q": "", "gcppubsub://shop/events": "", "kafka://[::1]:9092/events": "",
		"amqp://x/y": "there is no broker for amqp://", "nats://x": "names no topic", "nats://x/a.*": "wildcard", "kafka://x/a/b": "slash",
		"nats://canary:canary@x/y": "does not belong into the address", "kafka://x/y?acks=0": `no setting "acks"`, "nats://x/y?tls=maybe": "true or false", "nats://x:canary/y": "no URL",
	} {
		err := broker.Check(address)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("it tells what was in it: %v", err)
		}
	}
	if _, err := broker.Open("kafka://x/y", broker.Options{Credential: integration.NewSecret("canary")}); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	p, err := broker.Open("awssqs://queue.example/1/q", broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(t.Context(), broker.Message{}); err == nil || !strings.Contains(err.Error(), "region") {
		t.Errorf("got %v", err)
	}
}

// A cloud's metadata address is no broker, whatever the plan says.
func TestEgress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"nats://169.254.169.254/x", "kafka://169.254.169.254/x", "awssqs://169.254.169.254/1/x?tls=false&region=eu-central-1"} {
		p, err := broker.Open(address, broker.Options{Credential: integration.NewSecret("AKID:secret")})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), brokerTimeout)
		if err := p.Publish(ctx, broker.Message{Body: []byte("x")}); err == nil {
			t.Errorf("%s takes it", address)
		} else if !strings.Contains(err.Error(), "egress refused") {
			t.Errorf("%s: %v", address, err)
		}
		cancel()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

const brokerTimeout = 5 * time.Second

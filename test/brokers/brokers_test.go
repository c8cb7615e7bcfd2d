package brokers

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/deliver/broker"
	"github.com/sallyport/sallyport/deliver/broker/brokertest"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

const (
	user     = "sallyport"
	password = "the-right-one"
)

// natsServer is a real server with a stream that keeps events.>.
type natsServer struct {
	options *server.Options
	server  *server.Server
}

func newNATS(t *testing.T) *natsServer {
	t.Helper()
	n := &natsServer{options: &server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true, Username: user, Password: password,
	}}
	n.start(t)
	t.Cleanup(func() { n.stop(t) })
	conn := n.connect(t)
	defer conn.Close()
	stream, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	kept := jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events.>"}, Storage: jetstream.FileStorage}
	if _, err := stream.CreateStream(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *natsServer) start(t testing.TB) {
	t.Helper()
	s, err := server.NewServer(n.options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	n.server = s
	if at, ok := s.Addr().(*net.TCPAddr); ok { // the same one when it comes back
		n.options.Port = at.Port
	}
}

func (n *natsServer) stop(testing.TB) {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}

func (n *natsServer) connect(t testing.TB) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(n.server.ClientURL(), nats.UserInfo(user, password))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (n *natsServer) address(subject string) string {
	return "nats://" + strings.TrimPrefix(n.server.ClientURL(), "nats://") + "/" + subject
}

// received reads the stream from its beginning.
func (n *natsServer) received(t testing.TB) (list []broker.Message) {
	t.Helper()
	conn := n.connect(t)
	defer conn.Close()
	stream, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	events, err := stream.Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	state := events.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := events.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		one := broker.Message{ID: m.Header.Get(jetstream.MsgIDHeader), Body: m.Data, Header: map[string]string{}}
		for name, values := range m.Header {
			one.Header[strings.ToLower(name)] = values[0]
		}
		list = append(list, one)
	}
	return list
}

// R5.8: a real NATS server, with JetStream.
func TestNATS(t *testing.T) {
	t.Parallel()
	brokertest.Run(t, func(t *testing.T) brokertest.Harness {
		t.Helper()
		n := newNATS(t)
		return brokertest.Harness{
			Address: n.address("events.stripe"), Options: broker.Options{Credential: integration.NewSecret(user + ":" + password)}, Received: n.received,
			Stop: n.stop, Start: n.start,
			Refuses: func() (string, broker.Options) {
				return n.address("events.stripe"), broker.Options{Credential: brokertest.Wrong()}
			},
		}
	})
}

// A subject that no stream keeps is no place for an event; a repeat is kept once;
// the nats command's variables log in.
func TestNATSMessages(t *testing.T) {
	t.Parallel()
	n := newNATS(t)
	environment := broker.Options{Lookup: func(name string) (string, bool) {
		v, ok := map[string]string{"NATS_USER": user, "NATS_PASSWORD": password}[name]
		return v, ok
	}}
	open := func(subject string) broker.Publisher {
		p, err := broker.Open(n.address(subject), environment)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := open("nobody.keeps.this").Publish(ctx, broker.Message{ID: "0193", Body: []byte("x")})
	if err == nil || !strings.Contains(err.Error(), "add it to a stream") {
		t.Errorf("got %v", err)
	}
	p := open("events.stripe")
	for range 3 {
		if err := p.Publish(ctx, broker.Message{ID: "0193", Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.received(t); len(got) != 1 || got[0].ID != "0193" {
		t.Errorf("%d messages", len(got))
	}
	if err := p.Publish(ctx, broker.Message{ID: "0194", Body: make([]byte, 2<<20)}); err == nil || !strings.Contains(err.Error(), broker.ErrTooLarge.Error()) {
		t.Errorf("got %v", err)
	}
}

// fakeKafka is a fake: one process that speaks the protocol of Kafka and keeps
// records in memory.
func fakeKafka(t *testing.T) (cluster *kfake.Cluster, address string) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "events"),
		kfake.EnableSASL(), kfake.Superuser("PLAIN", user, password), kfake.Superuser("SCRAM-SHA-512", user, password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster, "kafka://" + cluster.ListenAddrs()[0] + "/events"
}

func kafkaReceived(cluster *kfake.Cluster) func(testing.TB) []broker.Message {
	return func(t testing.TB) (list []broker.Message) {
		t.Helper()
		client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()),
			kgo.ConsumeTopics("events"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
			fetches := client.PollFetches(ctx)
			cancel()
			if fetches.NumRecords() == 0 {
				return list
			}
			fetches.EachRecord(func(r *kgo.Record) {
				one := broker.Message{Key: string(r.Key), Body: r.Value, Header: map[string]string{}}
				for _, h := range r.Headers {
					one.Header[h.Key] = string(h.Value)
				}
				list = append(list, one)
			})
		}
	}
}

// R5.8: the client against a fake of Kafka, with both kinds of login.
func TestKafka(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"plain", "scram-sha-512"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			brokertest.Run(t, func(t *testing.T) brokertest.Harness {
				t.Helper()
				cluster, address := fakeKafka(t)
				address += "?sasl=" + how
				return brokertest.Harness{
					Address: address, Options: broker.Options{Credential: integration.NewSecret(user + ":" + password)}, Received: kafkaReceived(cluster),
					Refuses: func() (string, broker.Options) { return address, broker.Options{Credential: brokertest.Wrong()} },
				}
			})
		})
	}
}

// R5.8: an event goes to a real NATS server; while that is away the event waits
// for its next attempt, and no log tells the login.
func TestDeliveredToNATS(t *testing.T) {
	t.Parallel()
	n := newNATS(t)
	p := &plan.Plan{
		Service: "stripe", Webhooks: &plan.Webhooks{Events: map[string]plan.EventHandling{"invoice.paid": {From: "data.object", To: catalog.OneOrMore{"bus"}}}},
		Destinations: map[string]plan.Destination{"bus": {URL: n.address("events.stripe"), Secret: catalog.OneOrMore{"env:X"}, Timeout: plan.Duration(2 * time.Second)}},
	}
	var log bytes.Buffer
	d, err := deliver.New(deliver.Config{
		Services: []deliver.Service{{Plan: p, Secrets: func(string) []integration.Secret {
			return []integration.Secret{integration.NewSecret(user + ":" + password)}
		}}},
		Log: slog.New(slog.NewJSONHandler(&log, nil)), Dice: func() float64 { return 0 }, Redelivery: []time.Duration{time.Millisecond, time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	event := func(id string) integration.Event {
		return integration.Event{ID: id, Service: "stripe", Type: "invoice.paid", Subject: "in_1", Payload: []byte(`{"data":{"object":{"id":"in_1"}}}`), Attempts: 1}
	}
	if out := d.Deliver(t.Context(), event("0193-1")); out.Status != integration.EventProcessed {
		t.Fatalf("outcome %+v", out)
	}
	n.stop(t)
	out := d.Deliver(t.Context(), event("0193-2"))
	if out.Status != integration.EventReceived || out.DueAt.IsZero() || strings.Contains(out.Error+log.String(), password) {
		t.Errorf("while it is away: %+v", out)
	}
	n.start(t)
	for end := time.Now().Add(20 * time.Second); out.Status != integration.EventProcessed && time.Now().Before(end); {
		out = d.Deliver(t.Context(), event("0193-2"))
	}
	got := n.received(t)
	if len(got) != 2 || got[1].Header["ce-id"] != "0193-2" || got[1].Header["ce-type"] != "stripe.invoice.paid" || !bytes.Contains(got[1].Body, []byte(`"data":{"id":"in_1"}`)) {
		t.Errorf("%d messages: %+v", len(got), got)
	}
}

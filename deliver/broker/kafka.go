package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// kafkaTopic publishes on a topic; messages of one key go to one partition.
type kafkaTopic struct {
	client *kgo.Client
	// away is why the last connection could not be opened; nil when it could. The
	// client goes on trying until the time is over, and then says only that.
	away *atomic.Pointer[error]
}

func openKafka(t target, o Options) (Publisher, error) {
	dial := o.Dial
	if t.tls(false) {
		dial = overTLS(o.Dial)
	}
	away := &atomic.Pointer[error]{}
	dialNoted := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			away.Store(&err)
			return nil, err
		}
		away.Store(nil)
		return conn, nil
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(t.hostPort("9092")), kgo.DefaultProduceTopic(t.path), kgo.ClientID("sallyport"), kgo.Dialer(dialNoted),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// A record that is given up is the event's to try again. With idempotent
		// writes a record in flight could not be given up when its time is over.
		kgo.DisableIdempotentWrite(), kgo.ProducerLinger(0), kgo.UnknownTopicRetries(1),
		kgo.WithLogger(nil),
	}
	if !o.Credential.IsZero() {
		mechanism, err := kafkaLogin(t, o)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("publishing on Kafka: %w", err)
	}
	return &kafkaTopic{client, away}, nil
}

// overTLS dials and shakes hands, for the name that was dialled.
func overTLS(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		secured := tls.Client(conn, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return secured, nil
	}
}

func kafkaLogin(t target, o Options) (sasl.Mechanism, error) {
	user, password, err := pair(o.Credential)
	if err != nil {
		return nil, err
	}
	switch t.query.Get("sasl") {
	case "", "plain":
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "scram-sha-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case "scram-sha-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	}
	return nil, errors.New("sasl is plain, scram-sha-256 or scram-sha-512")
}

// Publish returns when all in-sync replicas have the message.
func (k *kafkaTopic) Publish(ctx context.Context, m Message) error {
	record := &kgo.Record{Value: m.Body}
	if m.Key != "" {
		record.Key = []byte(m.Key)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: []byte(m.Header[name])})
	}
	err := k.client.ProduceSync(ctx, record).FirstErr()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return fmt.Errorf("publishing on Kafka: %w", ErrTooLarge)
	}
	if cause := k.away.Load(); cause != nil && ctx.Err() != nil {
		return fmt.Errorf("publishing on Kafka: %w: %w", err, *cause)
	}
	return fmt.Errorf("publishing on Kafka: %w", err)
}

// Close ends the connections; what is not acknowledged yet has failed.
func (k *kafkaTopic) Close() error {
	k.client.Close()
	return nil
}

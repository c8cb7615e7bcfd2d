// Package brokers delivers to a real NATS server, and to a fake of Kafka, which
// speaks its protocol. It is a module of its own, so that the server's
// dependencies are nobody else's.
package brokers

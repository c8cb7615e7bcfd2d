package sallyport

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// sendTimeout is how long a connection may take nothing of an answer before it
// is given up. Between two pieces of an answer, not for all of it: what the proxy
// streams may take any time.
const sendTimeout = 60 * time.Second

// givingUp is a listener whose connections give up on clients that ask and never
// read the answers: each would keep a connection and a goroutine for as long as
// it liked. Connections of a TLS listener stay as they are, because the server
// has to know them.
type givingUp struct{ net.Listener }

// Accept waits for the next connection.
func (l givingUp) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if _, ok := c.(*tls.Conn); ok {
		return c, nil
	}
	return &sending{Conn: c}, nil
}

// sending is a connection that ends when a write gets nowhere for sendTimeout, or
// by the deadline that a handler has set itself.
type sending struct {
	net.Conn
	own atomic.Bool // a handler has set a deadline
}

// Write writes, and fails when the other end takes too long.
func (s *sending) Write(p []byte) (int, error) {
	if !s.own.Load() {
		if err := s.Conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
			return 0, err
		}
	}
	return s.Conn.Write(p)
}

// SetWriteDeadline takes the place of sendTimeout; zero gives it back.
func (s *sending) SetWriteDeadline(t time.Time) error {
	s.own.Store(!t.IsZero())
	return s.Conn.SetWriteDeadline(t)
}

// SetDeadline is SetWriteDeadline, and the same for reading.
func (s *sending) SetDeadline(t time.Time) error {
	s.own.Store(!t.IsZero())
	return s.Conn.SetDeadline(t)
}

// CloseWrite says that nothing more will be sent: with it the server lets a
// client that is still sending read why it was refused.
func (s *sending) CloseWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

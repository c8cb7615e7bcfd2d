package sallyport

import (
	"crypto/tls"
	"net"
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
	return &sending{c}, nil
}

// sending is a connection that ends when a write gets nowhere for sendTimeout.
type sending struct{ net.Conn }

// Write writes, and fails when the other end takes too long.
func (s *sending) Write(p []byte) (int, error) {
	if err := s.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return 0, err
	}
	return s.Conn.Write(p)
}

// CloseWrite says that nothing more will be sent: with it the server lets a
// client that is still sending read why it was refused.
func (s *sending) CloseWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

package sallyport

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// R5.6: a client that never reads does not keep its connection, and one that
// reads slowly does, however long it takes.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := &sending{Conn: ours}
		defer c.Close()
		slow := make(chan int)
		go func() { // takes a byte a little before it would be given up
			n := 0
			for one := make([]byte, 1); n < 10; n++ {
				time.Sleep(sendTimeout - time.Second)
				if _, err := io.ReadFull(theirs, one); err != nil {
					break
				}
			}
			slow <- n
		}()
		for range 10 {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatalf("a slow reader was given up: %v", err)
			}
		}
		if n := <-slow; n != 10 {
			t.Errorf("it read %d of 10 pieces", n)
		}
		began := time.Now()
		_, err := c.Write([]byte("x"))
		if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != sendTimeout {
			t.Errorf("a client that does not read got %v after %s", err, took)
		}
		for _, set := range []func(time.Time) error{c.SetWriteDeadline, c.SetDeadline} {
			if err := set(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			began = time.Now()
			_, err = c.Write([]byte("x"))
			if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != time.Second {
				t.Errorf("a handler's own deadline of a second ended in %v after %s", err, took)
			}
		}
	})
}

// A server knows a TLS connection by its type.
func TestGivingUpLeavesTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	for _, c := range []net.Conn{ours, tls.Server(ours, &tls.Config{MinVersion: tls.VersionTLS12})} {
		accepted, err := givingUp{one{c}}.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_, wrapped := accepted.(*sending)
		_, secret := c.(*tls.Conn)
		if wrapped == secret {
			t.Errorf("%T was handed on as %T", c, accepted)
		}
	}
	if err := (&sending{Conn: ours}).CloseWrite(); err != nil {
		t.Errorf("a connection that can't be closed half: %v", err)
	}
	if _, err := (givingUp{one{}}).Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed listener: %v", err)
	}
}

// one is a listener with one connection, or none.
type one struct{ c net.Conn }

func (o one) Accept() (net.Conn, error) {
	if o.c == nil {
		return nil, net.ErrClosed
	}
	return o.c, nil
}
func (one) Close() error   { return nil }
func (one) Addr() net.Addr { return nil }

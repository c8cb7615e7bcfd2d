// Package send is the only one that opens a socket to a third party. It sends a
// request once, to a host it was told about and to no other, and never to an
// address inside the network it runs in, whatever a name resolves to
// (requirement R0.7, design decision 8). Redirects are handed back, not
// followed. Proxies named in the environment are not used: behind one the
// address could not be checked.
//
// Every step before the request leaves has its own clock and its own error, so
// that whoever decides about a retry knows whether the provider may have seen
// the request (Error.NotSent).
package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Defaults of Config.
const (
	DefaultConnectTimeout = 5 * time.Second
	DefaultTLSTimeout     = 5 * time.Second
	DefaultHeaderTimeout  = 2 * time.Minute
	DefaultPingAfter      = 15 * time.Second
	maxResponseHeader     = 64 << 10
	continueTimeout       = time.Second      // for a 100 that was asked for; then the body goes anyway (RFC 9110, section 10.1.1)
	writeStall            = 30 * time.Second // of an HTTP/2 connection that takes no byte
)

// Config says where requests may go and how long the steps may take.
type Config struct {
	// Hosts that may be called, as in a URL: "api.stripe.com" is the scheme's
	// own port, "127.0.0.1:4010" exactly that one. At least one.
	Hosts []string
	// AllowPrivate lets requests go to this machine and to private networks,
	// and lets them go without TLS, as for a sandbox in development. Link-local
	// addresses, where clouds keep their credentials, stay refused.
	AllowPrivate bool
	// ConnectTimeout bounds name resolution and TCP connection; zero is 5s.
	ConnectTimeout time.Duration
	// TLSTimeout bounds the TLS handshake; zero is 5s.
	TLSTimeout time.Duration
	// HeaderTimeout bounds the wait for the answer's header, beside the timeout
	// a request has by its context; zero is 2m.
	HeaderTimeout time.Duration
	// PingAfter is how long an HTTP/2 connection with requests on it may be
	// silent before it is asked for a sign of life, and how long that may take:
	// a connection that died without a word is found, and its requests end.
	// Zero is 15s.
	PingAfter time.Duration
	// RootCAs are the authorities trusted; nil is those of the system.
	RootCAs *x509.CertPool
	// Resolver looks names up; nil is that of the system.
	Resolver *net.Resolver
}

// Transport sends requests. It is an http.RoundTripper.
type Transport struct {
	hosts        map[string]bool // host:port
	allowPrivate bool
	tlsTimeout   time.Duration
	connect      time.Duration
	dialer       *net.Dialer
	http         *http.Transport
}

// New makes a Transport.
func New(c Config) (*Transport, error) {
	if len(c.Hosts) == 0 {
		return nil, errors.New("send: no host may be called; name at least one")
	}
	t := &Transport{hosts: map[string]bool{}, allowPrivate: c.AllowPrivate, connect: or(c.ConnectTimeout, DefaultConnectTimeout), tlsTimeout: or(c.TLSTimeout, DefaultTLSTimeout)}
	for _, host := range c.Hosts {
		u, err := parseHost(host)
		if err != nil {
			return nil, fmt.Errorf("send: %w", err)
		}
		if u.Port() != "" {
			t.hosts[strings.ToLower(u.Host)] = true
			continue
		}
		t.hosts[hostPort(u, "https")] = true
		t.hosts[hostPort(u, "http")] = true
	}
	t.dialer = &net.Dialer{Timeout: t.connect, KeepAlive: 30 * time.Second, Resolver: c.Resolver, ControlContext: t.guard}
	t.http = &http.Transport{
		Proxy:                  nil,
		DialContext:            t.dial,
		DialTLSContext:         t.dialTLS,
		TLSClientConfig:        &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(64), NextProtos: []string{"h2", "http/1.1"}},
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    128,
		IdleConnTimeout:        90 * time.Second,
		ResponseHeaderTimeout:  or(c.HeaderTimeout, DefaultHeaderTimeout),
		ExpectContinueTimeout:  continueTimeout,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: or(c.PingAfter, DefaultPingAfter), PingTimeout: or(c.PingAfter, DefaultPingAfter), WriteByteTimeout: writeStall},
		MaxResponseHeaderBytes: maxResponseHeader,
	}
	return t, nil
}

func or(d, other time.Duration) time.Duration {
	if d == 0 {
		return other
	}
	return d
}

// hostPort is the key of a host in the list: lower case, with a port.
func hostPort(u *url.URL, scheme string) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// RoundTrip sends the request once. A refusal of ours is an
// *integration.Failure; a failure before the request left is an *Error. The
// bodies are streamed, both ways.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.allowed(r); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper closes the body in every case
		}
		return nil, err
	}
	resp, err := t.http.RoundTrip(once(r).WithContext(&dialling{Context: r.Context()}))
	if err != nil {
		return nil, unwritten(r, err)
	}
	return resp, nil
}

// Serves reports whether a URL's host is one of those that may be called.
func (t *Transport) Serves(u *url.URL) bool { return t.known(u) }

// CloseIdleConnections closes the connections that carry no request.
func (t *Transport) CloseIdleConnections() { t.http.CloseIdleConnections() }

// allowed keeps requests to the hosts of the plan, and to TLS.
func (t *Transport) allowed(r *http.Request) error {
	u := r.URL
	switch {
	case u == nil || u.Opaque != "":
		return refuse("egress_url", errors.New("egress refused: the URL does not name its host and path apart"))
	case u.Scheme != "https" && u.Scheme != "http":
		return refuse("egress_scheme", fmt.Errorf("egress refused: %q is no HTTP URL", u.Scheme))
	case u.User != nil:
		return refuse("egress_userinfo", fmt.Errorf("egress refused: the URL of %s carries a user", u.Host))
	case !t.known(u):
		return refuse("egress_host", fmt.Errorf("egress refused: %s is not a host of the plan; it may call %s", u.Host, strings.Join(t.list(), ", ")))
	case r.Host != "" && !strings.EqualFold(r.Host, u.Host):
		return refuse("egress_host", fmt.Errorf("egress refused: the request is for %s and goes to %s", r.Host, u.Host))
	case u.Scheme == "http" && !t.allowPrivate:
		return refuse("egress_cleartext", fmt.Errorf("egress refused: http://%s would carry the credential in the clear; use https", u.Host))
	case strings.ContainsFunc(u.RawQuery, unprintable): // the one part net/http does not escape, and HTTP/2 does not look at
		return refuseMalformed(errors.New("the query has spaces or control characters"))
	case r.Method == http.MethodConnect || len(r.Header["Upgrade"]) > 0:
		return refuseUpgrade()
	}
	return nil
}

// known looks the host up; the usual spelling needs no allocation.
func (t *Transport) known(u *url.URL) bool {
	return t.hosts[u.Host] && u.Port() != "" || t.hosts[hostPort(u, u.Scheme)]
}

func (t *Transport) list() []string { return slices.Sorted(maps.Keys(t.hosts)) }

func (t *Transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := again(ctx); err != nil {
		return nil, err
	}
	conn, err := t.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, t.failed(ctx, "connect", t.connect, err)
	}
	return conn, nil
}

func (t *Transport) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	plain, err := t.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	config := t.http.TLSClientConfig.Clone()
	config.ServerName = host
	conn := tls.Client(plain, config)
	within, cancel := context.WithTimeout(ctx, t.tlsTimeout)
	defer cancel()
	if err := conn.HandshakeContext(within); err != nil {
		_ = plain.Close()
		return nil, t.failed(ctx, "TLS handshake", t.tlsTimeout, err)
	}
	return conn, nil
}

// failed names the step that failed and, if it was a clock, which one.
func (t *Transport) failed(ctx context.Context, step string, limit time.Duration, err error) error {
	var f *integration.Failure
	if errors.As(err, &f) {
		return f
	}
	e := &Error{Step: step, Err: err}
	var timeout net.Error
	if ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()) {
		e.Clock = limit
	}
	return e
}

// guard looks at the address a name resolved to, right before the connection is
// made: the name can't change its mind in between.
func (t *Transport) guard(_ context.Context, network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return refuse("egress_address", fmt.Errorf("egress refused: %s %q is no address", network, address))
	}
	if why := forbidden(at.Addr(), t.allowPrivate); why != "" {
		return refuse("egress_address", fmt.Errorf("egress refused: the host resolves to %s, %s", at.Addr(), why))
	}
	return nil
}

func refuse(code string, err error) error {
	return &integration.Failure{
		Class: integration.ClassInvalid, Code: code, Reason: "egress", Err: err,
		Message: "The request was not sent: its destination is not allowed.",
		Hint:    "Calls go to the base URL of the plan's environment and the hosts of its profile, over TLS, and to public addresses. A plan whose base_url is itself a private address may call that network.",
	}
}

// Error is a step before the request left that failed.
type Error struct {
	Step  string        // connect, TLS handshake
	Clock time.Duration // the step's timeout, when that was the reason; zero otherwise
	Err   error
}

// Error names the step, and the clock that ran out.
func (e *Error) Error() string {
	if e.Clock > 0 {
		return fmt.Sprintf("%s timed out after %s: %v", e.Step, e.Clock, e.Err)
	}
	return fmt.Sprintf("%s failed: %v", e.Step, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether a clock of this package ran out.
func (e *Error) Timeout() bool { return e.Clock > 0 }

// NotSent is always true: the request did not leave this machine.
func (e *Error) NotSent() bool { return true }

package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/classify"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/send"
)

// result is what one attempt came to; err nil is a success.
type result struct {
	status     int
	err        error
	final      bool          // trying again can't help
	retryAfter time.Duration // what the destination asked for
	unmapped   bool          // the mapping refuses the payload
	stack      []byte        // of a handler that panicked; for the log alone
}

// refused is the result of a delivery that was not tried: a person must mend
// something first.
func refused(why string) result { return result{err: errors.New(why), final: true} }

// defaultTimeout is how long a destination may take when the plan says nothing.
const defaultTimeout = 10 * time.Second

// errTimeout says which clock ran out.
var errTimeout = errors.New("the destination did not answer in time")

// newDialer reaches what the owner named, which may be private, and no cloud's
// metadata; the address is looked at that is dialled, whatever name led to it.
func newDialer() *net.Dialer {
	return &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, ControlContext: send.OwnAddress}
}

func newTransport() http.RoundTripper { return transportBy(newDialer()) }

func transportBy(dialer *net.Dialer) http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.Proxy = nil
	t.DialContext = dialer.DialContext
	t.MaxIdleConnsPerHost = 64
	t.ResponseHeaderTimeout = 0 // the attempt's own time-out holds
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// post sends the event to its destination once.
func (d *Deliverer) post(ctx context.Context, to *destination, e integration.Event, data []byte, now time.Time) result {
	timeout := to.Timeout.Or(defaultTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	m := messageOf(to, e, data)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(m.body))
	if err != nil {
		return refused("destination " + to.name + ": its URL can't be used")
	}
	request.Header = m.header
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "Sallyport")
	}
	if err := sign(request.Header, e.ID, now, m.body, to.secrets()); err != nil {
		return refused("destination " + to.name + ": " + err.Error())
	}
	answer, err := d.client.Do(request)
	if err != nil {
		return result{err: transportError(ctx, err, timeout)}
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	return judge(answer, d.config.Now())
}

// judge says what the destination's answer means.
func judge(answer *http.Response, now time.Time) result {
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return result{status: code}
	case code == http.StatusGone:
		return result{status: code, final: true, err: errors.New("the destination answered 410: it wants no more of these")}
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		wait, _ := classify.RetryAfter(answer.Header, now)
		return result{status: code, err: fmt.Errorf("the destination answered %d", code), retryAfter: wait}
	case code >= 300 && code < 400:
		return result{status: code, err: fmt.Errorf("the destination answered %d; redirects are not followed, name the final URL in the plan", code)}
	default:
		return result{status: code, err: fmt.Errorf("the destination answered %d", code)}
	}
}

// transportError says what kept the request from being answered, without the
// URL: it may carry a credential.
func transportError(ctx context.Context, err error, timeout time.Duration) error {
	if errors.Is(context.Cause(ctx), errTimeout) {
		return fmt.Errorf("%w (%s)", errTimeout, timeout)
	}
	var where *url.Error
	if errors.As(err, &where) {
		err = where.Err
	}
	return fmt.Errorf("the destination could not be reached: %w", err)
}

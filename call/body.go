package call

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/integration"
)

// MaxReplay is how much of a request's body is kept to send it again. A larger
// body goes through once.
const MaxReplay = 1 << 20

// body is a request's body over the attempts of a call. At most one of bytes
// and get is set; with neither there is no body, or a stream.
type body struct {
	first  io.ReadCloser // as the caller gave it, until it is used
	bytes  []byte
	get    func() (io.ReadCloser, error)
	length int64 // -1: not known
	stream bool  // can be sent once
}

// bodyOf takes a request's body over. What it does not keep it leaves to be
// closed by close or by the transport.
func bodyOf(r *http.Request) (body, error) {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return body{}, nil
	case r.ContentLength > MaxReplay:
		return body{first: r.Body, length: r.ContentLength, stream: true}, nil
	case r.GetBody != nil && r.ContentLength > 0:
		return body{first: r.Body, get: r.GetBody, length: r.ContentLength}, nil
	}
	start, err := io.ReadAll(io.LimitReader(r.Body, MaxReplay+1))
	if err != nil {
		return body{}, &integration.Failure{
			Class: integration.ClassInvalid, Code: CodeRequestBody, Reason: "request",
			Message: "The request's body could not be read.", Hint: "Nothing was sent.",
			Err: errors.Join(fmt.Errorf("read the request's body: %w", err), r.Body.Close()),
		}
	}
	if len(start) > MaxReplay {
		rest := r.Body
		return body{first: joined{io.MultiReader(bytes.NewReader(start), rest), rest}, length: r.ContentLength, stream: true}, nil
	}
	return body{bytes: start, length: int64(len(start))}, r.Body.Close()
}

// joined reads from one and closes the other.
type joined struct {
	io.Reader
	io.Closer
}

// next is the body of the next attempt; nil when there is none.
func (b *body) next() (io.ReadCloser, error) {
	if first := b.first; first != nil {
		b.first = nil
		return first, nil
	}
	switch {
	case b.get != nil:
		return b.get()
	case b.bytes != nil:
		return io.NopCloser(bytes.NewReader(b.bytes)), nil
	case b.stream:
		return nil, errors.New("the body was streamed and is gone")
	}
	return nil, nil //nolint:nilnil // there is no body
}

// close closes what was never used.
func (b *body) close() {
	if b.first != nil {
		_ = b.first.Close() // nothing was read from it
		b.first = nil
	}
}

// keep is the body to be written down; ok is false when it is gone.
func (b *body) keep() (kept []byte, ok bool) {
	if b.get == nil {
		return b.bytes, !b.stream
	}
	again, err := b.get()
	if err != nil {
		return nil, false
	}
	defer again.Close()
	kept, err = io.ReadAll(io.LimitReader(again, MaxReplay))
	return kept, err == nil
}

// withoutFields takes fields out of a form that is held: there callers put the
// credential that their SDKs insist on. The order of the others stays.
func (b *body) withoutFields(contentType string, names []string) {
	if b.stream || b.length == 0 || !strings.HasPrefix(contentType, "application/x-www-form-urlencoded") {
		return
	}
	content, whole := b.keep()
	if !whole {
		return
	}
	kept := make([]string, 0, 8)
	for pair := range strings.SplitSeq(string(content), "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil && slices.Contains(names, plain) {
			continue
		}
		kept = append(kept, pair)
	}
	rest := []byte(strings.Join(kept, "&"))
	if len(rest) == len(content) {
		return
	}
	b.close()
	*b = body{bytes: rest, length: int64(len(rest))}
}

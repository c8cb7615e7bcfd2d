package call

import (
	"bytes"
	"context"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/mapping"
)

// Bounds on what is read of an answer.
const (
	maxError  = 64 << 10         // of an error, to understand it; the rest is streamed on
	maxDrain  = 192 << 10        // of a failed attempt beyond that, to use the connection again
	maxMapped = mapping.MaxBytes // of an answer that is read whole
)

// answerBody is an answer's body as it is handed on: the clock of the attempt
// stops when it is closed, and is named when it runs out.
type answerBody struct {
	io.Reader
	closer io.Closer
	clock  clock
	slot   limit.Turn // the request's place among those in flight
	whole  bool       // everything was read: start is all of it
	start  []byte
}

// Read reads on; a read cut off by the attempt's clock says so.
func (b *answerBody) Read(p []byte) (int, error) {
	b.clock.waiting()
	n, err := b.Reader.Read(p)
	b.clock.came()
	if err != nil && err != io.EOF && b.clock.Err() != nil { //nolint:errorlint // io.EOF is never wrapped by readers
		err = context.Cause(b.clock.Context)
	}
	return n, err
}

// Close closes the body and stops the clock.
func (b *answerBody) Close() error {
	err := b.closer.Close()
	b.end()
	return err
}

// end stops the clock and makes room for another request.
func (b *answerBody) end() {
	b.clock.stop()
	b.slot.Done()
}

// peek reads up to n bytes, which stay in the body as well.
func (b *answerBody) peek(n int64) error {
	start, err := io.ReadAll(io.LimitReader(b, n))
	b.start = start
	b.whole = err == nil && int64(len(start)) < n
	b.Reader = io.MultiReader(bytes.NewReader(start), b.Reader)
	return err
}

// stream reports whether a success is of a kind that no error can hide in: it
// is handed on as it comes, without a look into it.
func stream(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case err != nil:
		return false
	case kind == "text/event-stream", kind == "application/x-ndjson", kind == "application/jsonl", kind == "application/json-seq":
		return true
	}
	return !strings.Contains(kind, "json") && !strings.Contains(kind, "xml") && !strings.HasPrefix(kind, "text/")
}

// setAside ends a failed attempt's hold on its connection. The answer stays
// usable when it was short enough, in case there will be no other.
func setAside(resp *http.Response) *http.Response {
	if resp == nil {
		return nil
	}
	b, ok := resp.Body.(*answerBody)
	if !ok {
		_ = resp.Body.Close()
		return nil
	}
	if !b.whole {
		_, _ = io.CopyN(io.Discard, b.Reader, int64(len(b.start))+maxDrain)
	}
	_ = b.Close() // the answer is not wanted; whether it ended well does not matter
	if !b.whole {
		return nil
	}
	resp.Body = io.NopCloser(bytes.NewReader(b.start))
	return resp
}

// mark writes whose call an answer belongs to onto it, and takes away what a
// provider may have written in our name. From here on the answer is the
// caller's.
func (j *journey) mark(resp *http.Response, reason string) {
	if b, ok := resp.Body.(*answerBody); ok {
		b.clock.handOn()
	}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	j.marks = [3]string{j.call.ID, strconv.Itoa(len(j.call.Attempts)), reason}
	resp.Header[HeaderCall] = j.marks[0:1:1]
	resp.Header[HeaderAttempts] = j.marks[1:2:2]
	delete(resp.Header, HeaderReason)
	if reason != "" {
		resp.Header[HeaderReason] = j.marks[2:3:3]
	}
	resp.Request = j.request // ours carries the credential
}

package receive

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// believed is the largest announced length that memory is set aside for before
// the bytes are here, and the largest body that needs no share of the memory for
// large ones. Who announces more, and sends nothing, costs us nothing.
const believed = 64 << 10

// memory is what the bodies above believed may hold together. Whoever knows the
// address can send them, long before a signature is checked.
type memory struct {
	left atomic.Int64
}

// share is what one request holds of it.
type share struct {
	of   *memory
	held int64
}

// grow takes as much more as asked; false when there is none left.
func (s *share) grow(by int64) bool {
	if s.of.left.Add(-by) < 0 {
		s.of.left.Add(by)
		return false
	}
	s.held += by
	return true
}

// free gives everything back.
func (s *share) free() {
	s.of.left.Add(s.held)
	s.held = 0
}

var (
	errNoMemory = errors.New("too many large bodies are under way at once")
	errTooLarge = errors.New("the body is larger than is taken")
)

// read returns the exact bytes of the body. A body that is longer than it may
// be, or shorter than it was announced, is never used.
func (r *Receiver) read(req *http.Request, held *share) ([]byte, verdict, error) {
	limit := r.config.BodyLimit
	if req.ContentLength > limit {
		return nil, verdictTooLarge, nil
	}
	if req.ContentLength > 0 && req.ContentLength <= believed {
		body := make([]byte, req.ContentLength)
		if _, err := io.ReadFull(req.Body, body); err != nil {
			return nil, verdictTruncated, err
		}
		return body, "", nil
	}
	body, err := gather(req.Body, limit, held)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, verdictTooLarge, nil
	case errors.Is(err, errNoMemory):
		return nil, verdictCrowded, err
	case err != nil:
		return nil, verdictTruncated, err
	}
	return body, "", nil
}

// gather reads to the end. Memory is taken as the bytes come, so that it can't be
// held by sending none.
func gather(from io.Reader, limit int64, held *share) ([]byte, error) {
	body := make([]byte, 0, 4096)
	for {
		if len(body) == cap(body) {
			size := min(2*int64(cap(body)), limit+1)
			if size <= int64(len(body)) {
				return nil, errTooLarge
			}
			if size > believed && !held.grow(size) {
				return nil, errNoMemory
			}
			body = append(make([]byte, 0, size), body...)
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > limit:
			return nil, errTooLarge
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, err
		}
	}
}

// unsupported reports a content type that no provider sends events in. Every
// other one, an absent or a misspelt one too, is fine: the signature decides.
func unsupported(contentType string) bool {
	kind, _, ok := strings.Cut(strings.TrimSpace(contentType), "/")
	if !ok {
		return false
	}
	for _, wrong := range [...]string{"multipart", "image", "audio", "video", "font"} {
		if strings.EqualFold(kind, wrong) {
			return true
		}
	}
	return false
}

// encodings of a body, RFC 9110 section 8.4.1.
const (
	plainBody = iota
	gzipBody
	otherBody
)

func encodingOf(h http.Header) int {
	switch strings.ToLower(strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ","))) {
	case "", "identity":
		return plainBody
	case "gzip", "x-gzip":
		return gzipBody
	}
	return otherBody
}

// inflate decodes a gzip body into no more than limit bytes. It does so twice,
// the first time only to see how many there are: memory is taken for what will be
// used, and a small body that unpacks to a large one costs none.
func inflate(body []byte, limit int64, held *share) ([]byte, verdict, error) {
	decoder, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, verdictUnreadable, err
	}
	size, err := io.Copy(io.Discard, io.LimitReader(decoder, limit+1))
	switch {
	case err != nil:
		return nil, verdictUnreadable, err
	case size > limit:
		return nil, verdictTooLarge, errors.New("the body is larger than is taken once it is inflated")
	case size > believed && !held.grow(size):
		return nil, verdictCrowded, errNoMemory
	}
	if err := decoder.Reset(bytes.NewReader(body)); err != nil {
		return nil, verdictUnreadable, err
	}
	plain := make([]byte, size)
	if _, err := io.ReadFull(decoder, plain); err != nil {
		return nil, verdictUnreadable, err
	}
	return plain, "", nil
}

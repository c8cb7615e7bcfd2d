package call

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/integration"
)

// Noticer looks whether answers are still what was promised (R0.3, R0.4);
// package drift has one. None of its methods waits, and none keeps a body it is
// given.
type Noticer interface {
	Answer(endpoint string, status int, body []byte)
	MappingFailed(endpoint string, err error)
	ErrorCode(endpoint, code string)
	Headers(endpoint string, header http.Header)
}

// One in so many successes is looked at, up to so many bytes of it.
const (
	noticedOneIn = 20
	noticedBytes = 256 << 10
)

// notice has a success looked at. A body that is streamed to the caller is
// copied on its way.
func (s *Service) notice(j *journey, resp *http.Response) {
	if j.op.name == "" || s.noticer == nil {
		return // the plan and the document promise nothing
	}
	s.noticer.Headers(j.op.name, resp.Header)
	if s.dice() >= 1.0/noticedOneIn || resp.ContentLength > noticedBytes || !strings.Contains(resp.Header.Get("Content-Type"), "json") {
		return
	}
	b, ok := resp.Body.(*answerBody)
	if !ok {
		return
	}
	if b.whole {
		s.noticer.Answer(j.op.name, resp.StatusCode, b.start)
		return
	}
	b.Reader = &copied{Reader: b.Reader, whole: func(body []byte) { s.noticer.Answer(j.op.name, resp.StatusCode, body) }}
}

// noticeFailure has the provider's code of a failure looked at.
func (s *Service) noticeFailure(j *journey, f *integration.Failure) {
	if s.noticer != nil && j.op.name != "" && f.ProviderCode != "" {
		s.noticer.ErrorCode(j.op.name, f.ProviderCode)
	}
}

// copied keeps what is read, until it is too much, and hands it on at the end.
type copied struct {
	io.Reader
	kept  bytes.Buffer
	whole func([]byte)
}

// Read reads on.
func (c *copied) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	switch {
	case c.whole == nil:
	case c.kept.Len()+n > noticedBytes || err != nil && err != io.EOF: //nolint:errorlint // io.EOF is never wrapped by readers
		c.kept, c.whole = bytes.Buffer{}, nil
	default:
		c.kept.Write(p[:n])
		if err == io.EOF { //nolint:errorlint // io.EOF is never wrapped by readers
			c.whole(c.kept.Bytes())
			c.whole = nil
		}
	}
	return n, err
}

package call

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/credential"
	"github.com/sallyport/sallyport/integration"
)

// MaxAnswer is how much of an answer is kept for a caller who comes back for it.
const MaxAnswer = 1 << 20

// keepFor is how long such an answer is kept.
const keepFor = 24 * time.Hour

// answerHeaders are kept with an answer: how to read it and where to go on.
var answerHeaders = []string{
	"Content-Type", "Content-Language", "Content-Disposition", "Location", "Link", "Etag", "Last-Modified", "Retry-After",
}

// keepAnswer reads the answer of a call nobody waits for, mapped where the call
// came in by an endpoint's name, and closes it.
func (s *Service) keepAnswer(j *journey, resp *http.Response) {
	defer resp.Body.Close()
	answer := &integration.Answer{Status: resp.StatusCode, Header: http.Header{}, Until: s.now().UTC().Add(keepFor)}
	j.call.Answer = answer
	for _, name := range answerHeaders {
		if values := resp.Header[name]; len(values) > 0 {
			answer.Header[name] = values
		}
	}
	if j.call.Entry == integration.EntryEndpoint && j.op.endpoint != nil {
		out := Response{CallID: j.call.ID, Attempts: len(j.call.Attempts)}
		err := j.op.answer(resp, &out, j.call.Failure)
		var f *integration.Failure
		if j.call.Failure == nil && errors.As(err, &f) {
			j.call.Failure = f // it was made; its answer can't be told in our own fields
		}
		answer.Header["Content-Type"] = []string{"application/json"}
		answer.Body = out.Body
	} else {
		body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
		answer.Body, answer.Cut = body, err != nil
	}
	if answer.Cut || len(answer.Body) > MaxAnswer {
		answer.Body, answer.Cut = nil, true
	}
	answer.Body = []byte(credential.Scrub(string(answer.Body), j.ready.Secret))
}

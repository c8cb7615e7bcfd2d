package receive

import (
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/sallyport/sallyport/problem"
	"github.com/sallyport/sallyport/verify"
)

// verdict is what became of a webhook.
type verdict string

const (
	verdictReceived    verdict = "received"    // kept, due
	verdictDuplicate   verdict = "duplicate"   // known already
	verdictIgnored     verdict = "ignored"     // kept, of a type the plan does not use
	verdictUnsigned    verdict = "unsigned"    // no signature
	verdictMismatch    verdict = "mismatch"    // signed by someone else
	verdictStale       verdict = "stale"       // rightly signed, outside the replay window
	verdictUnreadable  verdict = "unreadable"  // the signature can't be read
	verdictEmpty       verdict = "empty"       // rightly signed, a batch of nothing
	verdictTruncated   verdict = "truncated"   // the body ended early
	verdictTooLarge    verdict = "too_large"   // the body is larger than we take
	verdictUnsupported verdict = "unsupported" // a content type that holds no event
	verdictBusy        verdict = "busy"        // our queue is full
	verdictCrowded     verdict = "crowded"     // large bodies hold all the memory they may
	verdictFailed      verdict = "failed"      // our store failed, or we have no secret
	verdictHandshake   verdict = "handshake"   // the address was tried, and answered
)

func verdictOf(err error) verdict {
	switch {
	case errors.Is(err, verify.ErrUnsigned):
		return verdictUnsigned
	case errors.Is(err, verify.ErrStale), errors.Is(err, verify.ErrFuture):
		return verdictStale
	case errors.Is(err, verify.ErrMalformed):
		return verdictUnreadable
	case errors.Is(err, verify.ErrNoSecret), errors.Is(err, verify.ErrNoKey):
		return verdictFailed
	}
	return verdictMismatch
}

func (v verdict) accepted() bool {
	return v == verdictReceived || v == verdictDuplicate || v == verdictIgnored || v == verdictEmpty || v == verdictHandshake
}

// problem is the answer to a webhook that was not accepted; nil when it was.
// All signature verdicts answer alike.
func (v verdict) problem() *problem.Problem {
	switch v {
	case verdictReceived, verdictDuplicate, verdictIgnored, verdictEmpty, verdictHandshake:
		return nil
	case verdictTruncated:
		return &problem.Problem{Status: http.StatusBadRequest, Code: "truncated_body", Detail: "the body ended before its announced length"}
	case verdictTooLarge:
		return &problem.Problem{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Detail: "the body is larger than is taken here"}
	case verdictUnsupported:
		return &problem.Problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Detail: "no events are taken in this media type or content coding; plain bodies and gzip are"}
	case verdictBusy, verdictCrowded, verdictFailed:
		return &problem.Problem{Status: http.StatusServiceUnavailable, Code: "not_kept", Detail: "the event could not be kept; send it again", RetryAfter: retryAfter}
	}
	return &problem.Problem{Status: http.StatusUnauthorized, Code: "signature_refused", Detail: "the signature was not accepted"}
}

// Stats is what one door did since the start.
type Stats struct {
	Received  int64            `json:"received"`  // kept and due
	Duplicate int64            `json:"duplicate"` // answered 200, kept once
	Ignored   int64            `json:"ignored"`   // kept, of a type the plan does not use
	Rejected  map[string]int64 `json:"rejected"`  // by reason
	NotKept   int64            `json:"not_kept"`  // answered 503
	Empty     int64            `json:"empty"`     // answered 200, a batch of nothing
	Handshake int64            `json:"handshake"` // the address was tried, and answered
}

// counters count verdicts.
type counters struct {
	received, duplicate, ignored, notKept, empty, handshake                 atomic.Int64
	unsigned, mismatch, stale, unreadable, truncated, tooLarge, unsupported atomic.Int64
}

func (c *counters) of(v verdict) *atomic.Int64 {
	switch v {
	case verdictReceived:
		return &c.received
	case verdictDuplicate:
		return &c.duplicate
	case verdictIgnored:
		return &c.ignored
	case verdictUnsigned:
		return &c.unsigned
	case verdictMismatch:
		return &c.mismatch
	case verdictStale:
		return &c.stale
	case verdictUnreadable:
		return &c.unreadable
	case verdictEmpty:
		return &c.empty
	case verdictTruncated:
		return &c.truncated
	case verdictTooLarge:
		return &c.tooLarge
	case verdictUnsupported:
		return &c.unsupported
	case verdictHandshake:
		return &c.handshake
	}
	return &c.notKept
}

func (c *counters) count(v verdict) { c.of(v).Add(1) }

func (c *counters) stats() Stats {
	s := Stats{
		Received: c.received.Load(), Duplicate: c.duplicate.Load(), Ignored: c.ignored.Load(), NotKept: c.notKept.Load(),
		Empty: c.empty.Load(), Handshake: c.handshake.Load(),
		Rejected: map[string]int64{},
	}
	for _, v := range []verdict{
		verdictUnsigned, verdictMismatch, verdictStale, verdictUnreadable, verdictTruncated, verdictTooLarge, verdictUnsupported,
	} {
		if n := c.of(v).Load(); n > 0 {
			s.Rejected[string(v)] = n
		}
	}
	return s
}

package verify

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
	"time"
)

// Explanation is why a request verifies, or does not. It is for the operator: it
// tells nothing of a secret, and of a signature that we computed no more than
// its first eight characters.
type Explanation struct {
	Valid bool   `json:"valid"`
	Error string `json:"error,omitempty"` // what Verify says; empty when valid
	Steps []Step `json:"steps"`           // in order; those after a failed one may be missing
	// Reasons are what is likely wrong, likeliest first; empty when valid. A
	// reason that was tried out, and with which the request verifies, comes first
	// and begins with a capital letter as the others do.
	Reasons []string `json:"reasons,omitempty"`
	// Proven says that the first reason was tried out.
	Proven bool `json:"proven,omitempty"`
}

// Step is one thing that was looked at.
type Step struct {
	Name   string `json:"name"` // signature, readable, time, secrets, content, match, window
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

func (e *Explanation) step(ok bool, name, format string, args ...any) {
	e.Steps = append(e.Steps, Step{Name: name, OK: ok, Detail: fmt.Sprintf(format, args...)})
}

// Explain says step by step what Verify finds, and tries out what usually goes
// wrong: a body that was parsed and written anew, a secret with a stray space or
// read in another encoding, an address that differs from the one we are called
// by, a signature with another prefix or encoding, an old time. It is slow and
// for people; it must not answer the sender.
func (s *Scheme) Explain(ctx context.Context, r *Request, given Given) Explanation {
	e := Explanation{}
	err := s.VerifyWith(ctx, r, given)
	e.Valid = err == nil
	if err != nil {
		e.Error = err.Error()
	}
	if applies := s.applies(r); applies != nil {
		e.step(false, "scheme", "%v", applies)
	} else {
		e.step(true, "scheme", "%s, in %s", describe(s), orNothing(s.where, "the connection"))
	}
	if s.prover == nil {
		s.explainSigned(&e, r, given)
	} else {
		e.secrets(given, nil)
		e.step(err == nil, "match", "%s", orNothing(e.Error, "everything is as it should be"))
	}
	if err != nil {
		s.reasons(ctx, &e, r, given, err)
	}
	return e
}

func describe(s *Scheme) string {
	if s.spec.Algorithm == "" || s.spec.Algorithm == s.family {
		return s.family
	}
	return s.family + " " + s.spec.Algorithm
}

func orNothing(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (e *Explanation) secrets(given Given, unusable error) {
	usable := 0
	for _, s := range given.Secrets {
		if !s.IsZero() {
			usable++
		}
	}
	detail := fmt.Sprintf("%d given", usable)
	if unusable != nil {
		detail += "; " + strings.ReplaceAll(unusable.Error(), "\n", "; ")
	}
	e.step(usable > 0 && unusable == nil, "secrets", "%s", detail)
}

// explainSigned goes through the steps of a signature over signed_content.
func (s *Scheme) explainSigned(e *Explanation, r *Request, given Given) {
	w := s.pool.Get().(*work)
	defer s.release(w)
	w.keyID = r.Config["key_id"]
	if s.each {
		e.step(e.Valid, "match", "every item of the body carries its own signature: %s", orNothing(e.Error, "all match"))
		return
	}
	err := s.read(r, w)
	switch {
	case errors.Is(err, ErrUnsigned):
		e.step(false, "signature", "%v; the request has %s", err, headerNames(r))
		return
	case err != nil:
		e.step(true, "signature", "%s is there", s.where)
		e.step(false, "readable", "%v", err)
		return
	}
	e.step(true, "signature", "%s is there, %d read", s.where, len(w.digests)+len(w.sigs))
	e.step(true, "readable", "%s, as the scheme wants", s.encoding)
	at := s.explainTime(e, w, given.Now)
	if s.public == nil {
		unusable := s.usableKeys(w, given.Secrets)
		e.secrets(given, unusable)
		if len(w.keys) == 0 {
			return
		}
	}
	e.step(true, "content", "%s: a body of %d bytes%s", s.spec.SignedContent, len(r.Body), urlDetail(s, r))
	if s.public != nil {
		e.step(!errors.Is(orNil(e), ErrMismatch), "match", "%s", orNothing(e.Error, "the signature is the key's"))
		return
	}
	if matched := s.explainMatch(e, r, w); matched && s.tolerance > 0 && !at.IsZero() {
		err := s.inWindow(at, given.Now)
		e.step(err == nil, "window", "%s within %s", given.Now.Sub(at).Round(time.Second), s.tolerance)
	}
}

// orNil is the error again, as far as its class is told by its text.
func orNil(e *Explanation) error {
	for _, known := range []error{ErrMismatch, ErrMalformed, ErrUnsigned, ErrStale, ErrFuture, ErrNoKey, ErrNoSecret} {
		if strings.HasPrefix(e.Error, known.Error()) {
			return known
		}
	}
	return nil
}

func urlDetail(s *Scheme, r *Request) string {
	if strings.Contains(s.spec.SignedContent, "url") || strings.Contains(s.spec.SignedContent, "canonical") {
		return ", the address " + strings.ToValidUTF8(truncate(r.URL, 120), "")
	}
	return ""
}

func truncate(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

func headerNames(r *Request) string {
	names := slices.Sorted(maps.Keys(r.Header))
	if len(names) == 0 {
		return "no headers"
	}
	return "the headers " + truncate(strings.Join(names, ", "), 400)
}

func (s *Scheme) explainTime(e *Explanation, w *work, now time.Time) time.Time {
	if s.clock.absent() {
		return time.Time{}
	}
	text := w.groups[0].timestamp
	at, err := s.clock.parse(text)
	if err != nil {
		e.step(false, "time", "%v", err)
		return time.Time{}
	}
	e.step(true, "time", "%s, %s before the clock used here", at.UTC().Format(time.RFC3339), now.Sub(at).Round(time.Second))
	return at
}

// explainMatch shows the beginning of what was sent and of what was computed.
func (s *Scheme) explainMatch(e *Explanation, r *Request, w *work) bool {
	var sent, computed []string
	matched := false
	for i := range w.groups {
		g := &w.groups[i]
		for _, d := range w.digests[g.from:g.to] {
			sent = append(sent, short(s.encode(d[:s.size])))
		}
		for _, k := range w.keys {
			mac := k.pool.Get().(hash.Hash)
			mac.Reset()
			err := s.writeContent(mac, r, w, g, k)
			sum := mac.Sum(nil)
			k.pool.Put(mac)
			if err != nil {
				e.step(false, "content", "%v", err)
				return false
			}
			computed = append(computed, short(s.encode(sum)))
		}
		ok, _ := s.matches(r, w, g)
		matched = matched || ok
	}
	e.step(matched, "match", "sent %s, computed %s", strings.Join(limit(sent), " "), strings.Join(limit(computed), " "))
	return matched
}

func limit(list []string) []string {
	if len(list) > 4 {
		return append(slices.Clone(list[:4]), fmt.Sprintf("and %d more", len(list)-4))
	}
	return list
}

// short is as much of a signature as may be shown.
func short(signature string) string {
	if len(signature) > 8 {
		return signature[:8] + "…"
	}
	return "…"
}

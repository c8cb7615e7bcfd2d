package plan

import (
	"strconv"
	"time"
)

// DefaultErrors is the default policy, the retry table R4.17 and the answers
// R4.1 to R4.8: what follows an answer the plan says nothing about. The keys
// are those of Plan.Errors. Each call returns a new map.
//
// A 409 is not retried: re-reading the state first (on_conflict) is not part of
// this version, and the same request again meets the same conflict.
func DefaultErrors() map[string]ErrorPolicy {
	backoff := func() []Duration {
		return []Duration{Duration(time.Second), Duration(2 * time.Second), Duration(4 * time.Second)}
	}
	return map[string]ErrorPolicy{
		"400":     {},                                                        // R4.1: our request is wrong
		"401":     {Retry: 1},                                                // R4.2: once, with the credential read again
		"403":     {Alert: true},                                             // R4.3
		"404":     {},                                                        // R4.4
		"409":     {},                                                        // R4.5
		"429":     {Retry: 5, Then: "keep"},                                  // R4.6: Retry-After decides the wait
		"5xx":     {Retry: 3, Backoff: backoff(), Then: "keep"},              // R4.7
		"timeout": {Retry: 3, Backoff: backoff(), Then: "keep", Alert: true}, // R4.8
		"network": {Retry: 3, Backoff: backoff(), Then: "keep", Alert: true}, // R4.8
	}
}

// ErrorPolicy returns what follows an answer: key is an HTTP status ("503"),
// "5xx", "timeout" or "network". The plan's own policy for the number comes
// first, then the plan's for 5xx, then the default for the number, then the
// default for 5xx. What none of them names is not retried. A policy of the plan
// replaces the default as a whole.
func (p *Plan) ErrorPolicy(key string) ErrorPolicy {
	if own, ok := p.Errors[key]; ok {
		return own
	}
	status, err := strconv.Atoi(key)
	server := err == nil && status >= 500 && status <= 599
	if server {
		if own, ok := p.Errors["5xx"]; ok {
			return own
		}
	}
	defaults := DefaultErrors()
	if d, ok := defaults[key]; ok || !server {
		return d
	}
	return defaults["5xx"]
}

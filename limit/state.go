package limit

import "time"

// State is one limit as it stands, for a status page and for metrics.
type State struct {
	Name     string        `json:"name"`
	Unit     string        `json:"unit"`                // requests, points, concurrent
	Window   time.Duration `json:"window_ns,omitempty"` // 0: requests in flight
	Limit    float64       `json:"limit"`               // the provider's
	Share    float64       `json:"share"`               // ours: the limit at the plan's headroom
	Headroom float64       `json:"headroom"`            // the share as a part of the limit, 0 to 1
	// Used and Remaining are of the fullest bucket where there are several: one
	// for each tenant, account or endpoint.
	Used      float64 `json:"used"`
	Remaining float64 `json:"remaining"`
	Others    float64 `json:"others,omitempty"` // of Used, what the provider counted beside our calls
	Buckets   int     `json:"buckets"`
	// Shared says that the limit is shared by several instances: Used is then what
	// all of them took or hold, by the last word of the ledger. Alone says that
	// the ledger can't be reached, so that this instance keeps to an even part.
	Shared   bool   `json:"shared,omitempty"`
	Alone    bool   `json:"alone,omitempty"`
	Waiting  int    `json:"waiting"`            // callers that wait for it, among others perhaps
	Refused  uint64 `json:"refused"`            // callers turned away because of it
	Observed uint64 `json:"observed,omitempty"` // callers let through in the mode observe that had to wait otherwise
	// PausedUntil is when the provider lets us come again; zero: now.
	PausedUntil time.Time `json:"paused_until,omitzero"`
}

// State tells of all limits, in the profile's order; a limit with a burst is
// there twice, the burst first.
func (l *Limiter) State() []State {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.instant()
	states := make([]State, len(l.rules))
	for i, r := range l.rules {
		states[i] = State{
			Name: r.name, Unit: r.unit, Window: r.length, Limit: float64(r.limit) / one, Share: float64(r.allowed) / one,
			Headroom: float64(r.allowed) / float64(r.limit), Remaining: float64(r.allowed) / one, Refused: r.refused, Observed: r.observed,
		}
		if l.paused > now {
			states[i].PausedUntil = l.base.Add(l.paused)
		}
		if r.only != nil {
			states[i].add(r.only, now)
		}
	}
	for k, b := range l.buckets {
		states[k.rule].add(b, now)
	}
	return states
}

func (s *State) add(b *bucket, now time.Duration) {
	s.Buckets++
	s.Waiting += b.waiting
	used, left, others := b.inflight, b.places()-b.inflight, int64(0)
	if !b.rule.concurrent {
		left, others = b.window.room(now), b.window.debt
		used = b.window.allowed - left
	}
	if le := b.lease; le != nil {
		s.Shared, s.Alone = true, le.shared.down
		used, left = le.total, b.window.allowed-le.total
		if le.shared.down {
			left = le.alone(now)
			used = b.window.used
		}
	}
	if remaining := float64(max(left, 0)) / one; s.Buckets == 1 || remaining < s.Remaining {
		s.Remaining, s.Used, s.Others = remaining, float64(used)/one, float64(others)/one
	}
}

// Trips is how many times the Limiter asked its ledger; 0 when limits are not
// shared.
func (l *Limiter) Trips() uint64 {
	if l.shared == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shared.trips
}

// Instances is how many share the limits, as far as is known; 1 when they are
// not shared.
func (l *Limiter) Instances() int {
	if l.shared == nil {
		return 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shared.instances
}

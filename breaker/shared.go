package breaker

import "time"

// Shared tells the instances of a gateway of each other's breakers for one
// service. What it can't do, because others can't be reached, it leaves: each
// instance then goes by what it sees itself.
type Shared interface {
	// Subscribe hands what other instances find to learn, beginning with what
	// is known already. It is called once.
	Subscribe(learn func(Notice))
	// Publish tells the others. It must not wait.
	Publish(n Notice)
	// Probe asks for one of so many probes of a half-open breaker that all
	// instances share: the ticket is empty when all are taken. A probe that
	// does not end is free again after the timeout. It is the one thing that
	// may wait, but not for long: only a call that would be refused otherwise
	// waits for it. On an error the instance goes by what it knows.
	Probe(host string, probes int, timeout time.Duration) (ticket string, err error)
	// Probed says how the probe with a ticket ended: Success when it proved the
	// host well, Ignored when it did not say. Failures are published. It must
	// not wait.
	Probed(host, ticket string, probes int, o Outcome)
}

// Notice is what one instance tells the others.
type Notice struct {
	Host   string
	State  State // Closed or Opened
	Forced bool  // by hand; only a Reset, or another hand, takes it back
	Reset  bool  // by hand: closed, and left to itself
	// Pause is how much of the pause is left, of an Opened that is not forced.
	Pause    time.Duration
	Openings int // how many times in a row it opened; decides the next pause
	Reason   string
}

// learn does what another instance did.
func (s *Set) learn(n Notice) { s.host(n.Host).learn(n) }

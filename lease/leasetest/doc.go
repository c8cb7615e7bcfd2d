// Package leasetest is the suite that every lease.Queue has to pass, and a
// queue in memory to test against.
//
// The suite holds what a Runner relies on: no row is lent to two owners, a
// dead owner's rows come back, what a late owner says is refused, due times
// are kept, and nothing is lost or finished twice whatever the order of
// claims, renewals, completions, crashes and moves of the clock.
package leasetest

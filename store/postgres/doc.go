// Package postgres keeps what package sqlite keeps, in a PostgreSQL that any
// number of gateways share, and is the queue that their events and calls wait
// in.
//
// Instances know of each other through rows alone. A row that is due is lent
// with FOR UPDATE SKIP LOCKED to whoever asks first; a lease that ran out may be
// taken by another; what a late owner says is refused. No lock outlives a
// transaction, so an instance that dies holds nothing up but its leases.
//
// Events that arrive while a commit is in progress share the next one: a few
// committers take what waits and write it with one statement, which is one
// transaction and one round trip. A row that is refused takes no neighbour down
// with it. Everything else is a short transaction of its own.
//
// Every operation is bounded in time (Options.Timeout). While the database is
// away operations fail at once or at that bound, and work again as soon as it is
// back: nothing has to be restarted. A transaction that the server rolled back
// for the sake of another is tried again here; one whose commit got no answer is
// not, and its error says that it may have been written.
//
// Text that PostgreSQL does not take (NUL, bytes that are no UTF-8) is written
// in a form that it takes and comes back as it was; payloads are bytea. Times
// are microseconds.
//
// What it does not do: leases are dated by the clocks of the instances, which
// must agree to within a second or so. Deleted rows are gone for every query but
// are not overwritten on the disk; PostgreSQL uses their place again in its own
// time.
package postgres

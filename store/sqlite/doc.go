// Package sqlite keeps events, calls, keys and the audit log in one SQLite
// file, and is the queue that events wait in. It is the only place with SQL.
//
// Everything is written by one goroutine on one connection. Writes that arrive
// while a transaction commits share the next one (group commit), so that one
// fsync serves many callers; each caller is answered after its COMMIT. A row
// that is refused takes no neighbour down with it. Reads have connections of
// their own and never wait for the writer (WAL).
//
// The file is opened with journal_mode=WAL and synchronous=FULL: what was
// answered survives a crash of the process and of the machine, as far as the
// disk keeps its word about fsync.
//
// What it does not do: it serves one machine. Several processes may open the
// file (the command line beside the gateway), but their writes wait for each
// other. Deep filters (part of an error, a type without a service) read the
// table from its young end.
package sqlite

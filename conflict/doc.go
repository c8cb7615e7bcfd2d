// Package conflict settles what an answer left open: two writers who met
// (requirement R4.5), and a call of which nobody knows whether it happened
// (R4.7).
//
// Merge is a three-way merge of a request with the state the provider has now.
// It writes nothing but the caller's own fields and the version that the
// provider asks for, and it says by name what it kept and what it left.
// Settle looks for the trace of a call in what the provider lists.
//
// Both are pure: who calls them reads the current state first and sends
// afterwards.
package conflict

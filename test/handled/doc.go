// Package handled proves by killing that handlers in the transaction of their
// event write exactly once.
package handled

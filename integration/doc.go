// Package integration holds the nouns of Sallyport: what a tenant, a webhook
// event, a delivery, an outbound call, an attempt and a failure are, and the
// states they may be in. Every other package speaks in these words.
//
// It imports nothing but the standard library and contains no behaviour beyond
// what keeps a noun honest (a Secret that cannot print, a state that knows
// whether it is final).
package integration

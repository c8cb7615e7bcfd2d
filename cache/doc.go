// Package cache saves calls that need not be made: it keeps answers to reads for
// as long as the plan allows, asks the provider "is it still this one?" instead
// of fetching again, and lets identical reads that are under way share one call
// (requirements R4.15). It also remembers the last good answer for the time when
// the provider can't be reached (R4.11, fallback "cached").
//
// It is a private cache in the sense of RFC 9111, one for each service. Nothing
// is shared between tenants: whose data it is belongs to the key.
//
// # What is kept
//
// Answers 200, 203 and 204 to GET and HEAD, byte for byte, up to MaxEntry; never
// one with "Cache-Control: no-store", "Vary: *", Set-Cookie or Content-Range. An
// answer is served again for the endpoint's TTL, or for less where the provider's
// max-age or Expires says less; "no-cache" and a TTL of zero mean that every use
// is revalidated first. Larger answers and event streams are passed through as
// they come.
//
// # What tells two reads apart
//
// The method, the URL with its query in a normal order, the tenant, and every
// request header that may choose another answer: all but the few that only
// describe the caller (User-Agent, tracing, telemetry). Providers pick an account
// or a version by headers of their own which they do not list in Vary
// (Stripe-Account), so the list names what is left out, not what counts. A header
// that the answer's Vary names counts in any case. Requests should be handed over
// before the credential is put on: a new token is no new question.
//
// # Where it departs from RFC 9111
//
// Stale hands out an answer also where the provider wrote must-revalidate or
// no-cache. A plan asks for that with "fallback: cached"; such an answer says of
// itself that it is old. A write makes everything at its path, above and below it
// unknown, not only its own URL (section 4.4), because a list changes when its
// item does.
package cache

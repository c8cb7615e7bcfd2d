// Package reconcile keeps our hold on a provider's events: it finds those that
// never came (R5.14), and it sees to what is subscribed to (R5.15).
//
// # Events that never came
//
// A Finder reads the provider's list of what was sent, newest first, back to
// where the time before ended less an overlap. What it has and the store has not
// is taken in as if it had come, once: under the same id as its webhook, so that
// one that comes late is a repeat. How far it came is kept in a cursor, which one
// instance works on at a time; a run that is long, after an outage, goes on
// where it was when it is cut short.
//
// Times are compared with times of the provider alone: the newest in its list,
// and its own clock as its answers tell it. An event younger than Config.Settle
// is left: its webhook may be on its way.
//
// # Subscriptions
//
// Subscriptions compares what the plan wants with what the provider has, and
// changes it when asked; by itself it only renews what would expire. Nothing
// whose URL is not ours is ever touched.
//
// Both know providers by the facts of their profile alone.
package reconcile

// Package monitor counts what the gateway does and shows how it stands, for
// Prometheus (R6.3, R6.7).
//
// There are two kinds of figures. Metrics counts what happens, as it happens:
// requests at the door, deliveries, requests to providers. A Source is asked at a
// scrape how things stand: events that wait, subscriptions, breakers, the
// database; the answer is kept for some seconds, so that scraping often costs no
// more.
//
// Labels are the plan's own words: services, event types, destinations, endpoints,
// limits. What the plan does not name is "other". A tenant is never a label, nor
// is a host, because tenants have hosts of their own; and no secret comes near.
package monitor

// Package connect keeps connections: how a tenant authorises one, how its
// credential stays alive, what calls use, and how it ends (R2.2 to R2.6).
//
// Start sends a person to the provider, or takes keys; Callback takes them back.
// For hands a call the credential of a connection, from memory; Refused is told
// of a 401. Work does what a connection is due for by itself: renewing its
// token, keeping it alive, telling the provider that it is over.
//
// A token is renewed by one process at a time. The right to do so is a lease in
// the store, with a version that fences off whoever held it before. What is
// about to be asked is written down first; what was answered is kept, in one
// transaction, before anybody uses it. So wherever a process dies:
//
//	before the intent          nothing has happened
//	after it, before asking    the old refresh token is still good
//	after asking               the next one asks with the old refresh token: good
//	                           within the provider's grace, otherwise refused,
//	                           and the connection says needs_reauth and why
//	after the answer was kept  nothing is lost
//
// # Which flows are bound to a browser
//
// A state is used once, expires after 15 minutes, and belongs to one connection
// of one tenant, so an answer that a stranger brings makes no other connection.
// A flow that begins on our own page (Request.Page, a link, an address to
// reconnect) is bound to the browser besides: that page sets a cookie, and an
// answer without it ends the flow. Where Start returned the provider's address
// there is no such cookie, for we have not seen the browser: whoever is given
// that address and consents connects their account to the tenant. The API
// therefore begins on our page unless a return_url says that the caller's own
// application, with its own session, awaits the person.
package connect

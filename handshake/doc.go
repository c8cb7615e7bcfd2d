// Package handshake answers the requests by which a provider finds out whether an
// address is really ours, before it sends events there. A handshake is data, a
// catalog.Handshake; Compile turns those of a provider into a Set once, Match
// tells such a request from an event, and Answer says what to send back.
//
// There are three shapes. A value of the request is sent back (Slack, Dropbox,
// Microsoft Graph). An answer is computed with the secret (X, Zoom, LinkedIn,
// Braintree). The secret itself is delivered (Asana, Notion, Atlassian Connect)
// and must be stored. Besides, there are requests that only want a 2xx.
//
// The package is pure: it opens nothing and stores nothing. What is to be stored
// or fetched is part of the Response.
//
// # What strangers could do with it, and can't
//
// Anybody may send such a request. A value is sent back only as plain text or
// inside a JSON string, with nosniff, and only when it is short and of a harmless
// alphabet: no page of ours can be made to carry a script. What a MAC is computed
// of has an alphabet without the characters that every event or signed text of
// these providers contains, so that a forger can't have an event signed by
// calling it a challenge. A secret that comes unsigned is taken only while there
// is none.
package handshake

// Package sandbox is the provider's stand-in: an http.Handler that answers like
// the API a plan talks to, made of nothing but the provider's document, its
// profile and its sample objects. It remembers what was created, checks the
// credential, honours idempotency keys, refuses what the provider would refuse
// in the provider's own error shape, and sends signed webhooks about what calls
// changed. Faults make it misbehave as told.
//
// # How it knows what an operation does
//
// By the document, with the same rules for every provider:
//
//	GET on a path that ends in a variable          reads an object
//	GET whose answer is a list                     lists objects, newest first
//	POST on a path that is listed or read below    creates an object
//	POST, PUT, PATCH on an object's path           updates it
//	DELETE on an object's path                     removes it, or sets its status if the
//	                                               answer is the object itself
//	POST on a word below an object's path          acts on it when the answer is that object
//	anything else                                  is answered with a sample
//
// An action moves the status where the status' enum has a natural value for its
// word: pay → paid, finalize → open, void → void. Other fields (amounts paid,
// balances) do not follow; a program that needs them sets them through Emit.
// Fields of a request are taken over where the object has a field of that name
// and kind.
//
// Objects start as the provider's sample of their kind, or as its schema says
// when there is no sample. Ids look like the sample's. Everything made up comes
// from the seed.
//
// # Events
//
// A change causes the event that the document names for it: the resource, then
// the action in the past tense or the new status (invoice.finalized,
// invoice.paid), else "updated". Types the document and the plan do not name are
// not sent. The payload has the shape of the document's event object where it
// has one, and otherwise holds what the profile says stands in a webhook. Events
// are signed by package verify and sent while Run runs. They are kept like any
// other object, so the provider's own event list shows them.
//
// # Limits of this form
//
// Fields are not expanded, nothing happens by itself as time goes by, lists with
// opaque cursors have one page, and files can't be uploaded. What is kept is
// bounded (see the constants): the oldest goes first.
//
// The control interface under /_sandbox/ has no credential: a sandbox listens on
// the loopback interface and holds no data of anyone's.
package sandbox

// Package verify checks and makes the signatures of webhooks. A scheme is data,
// a catalog.Verification; Compile turns it into a Scheme once, and Verify then
// needs nothing but the request's raw bytes, the secrets and the time. The
// package is pure: it opens nothing, stores nothing and reads no clock.
//
// This version knows the hmac family, which is what most providers use. The
// other families (hash_concat, ed25519, ecdsa, rsa, jwt, shared_token,
// basic_auth, mtls, api_callback, http_message_signatures) are refused by Compile
// with ErrUnsupported.
//
// # The language
//
// header says where the signature stands: a header's name, several names of which
// any may match, a name that ends in "*" for numbered headers, or a path into the
// request (json:, form:, query:; see package extract).
//
// parse says how signatures are read out of that value. All that are found are
// tried and one match is enough; elements with another name or prefix are ignored.
//
//	(none)                                  the value is the signature
//	prefix                                  prefix, then the signature
//	list_sep                                several signatures
//	list_sep, item_prefix                   several; those that begin with the prefix
//	list_sep, kv_sep, sig_keys[, ts_key]    key and value pairs: t=…,v1=…,v1=…
//	  … group_sep                           several such lists, each with its own time
//	list_sep, positional "timestamp,sig..." the time, then signatures
//	list_sep, pair_sep                      key id and signature; config:key_id, when set, must match
//
// format is the same in the other direction, for Sign: literal text with {sig},
// {timestamp} and names that Request.Config holds. Remarks in brackets at its end
// are ignored.
//
// encoding is hex (either case), base64 (padded) or base64url (unpadded);
// algorithm hmac-sha256, hmac-sha1, hmac-sha512 or hmac-md5.
//
// timestamp_header says where the time stands: a header's name, a path, "param:t"
// for the element t of the signature header or "param:0" for its first.
// timestamp_unit is s, ms, rfc3339, http_date or iso8601_naive_utc (ISO 8601
// without a zone, in UTC). The text is signed as it was sent and never re-written.
// tolerance_s is the replay window in both directions; without it the time is
// only part of what was signed.
//
// key_encoding says how the key is made of the secret: utf8 (as it is), hex,
// base64, base64_after_prefix:P (less an optional prefix P), sha1_raw, sha256_raw
// (the digest of the secret is the key).
//
// signed_content is what was signed: text with "\n" for a newline, and
//
//	{body}                        the raw body
//	{timestamp}                   the time as it was sent
//	{url} {url_no_query} {method} of the request; the URL is the full public one
//	{header:X} {json:p} {form:k} {query:k} {config:k}
//	                              a value, which must be there
//	{sorted_form_kv}              each key and value of the form, sorted by key (Twilio). A body
//	                              that is no form must be covered by the parameter bodySHA256
//	{sorted_query}                the query, sorted by key and encoded again
//	{sha256_hex(body)} {sha256_raw(body)}
//	                              digest of the body, as 64 digits or 32 bytes
//	{json_escape_nonascii(body)}  the body with \uXXXX for all that is not ASCII (Box)
//	{first_json_item}             the first element of a body that is an array (Segment)
//	{adyen_item}                  eight fields of a notification item joined by ":"; each item
//	                              of the body carries its own signature and each must match
//	{contentful_canonical}        method, path, the headers named in x-contentful-signed-headers, body
//	{hygraph_json}                {"Body":…,"EnvironmentName":…,"TimeStamp":…} with env and t of the header
//	{plivo_v3_url}                URL with sorted query and form parameters
//	{vonage_sorted_params}        "&key=value" of each form field but sig, sorted
//
// # What a match does not mean
//
// Some providers sign less than the body: Mailgun a token and a time, Plivo's
// version 2 the URL, Adyen eight fields, Segment the first item of a batch. The
// rest of such a request is only as trustworthy as TLS made it.
package verify

// Package verify checks and makes the signatures of webhooks. A scheme is data,
// a catalog.Verification; Compile turns it into a Scheme once, and Verify then
// needs nothing but the request's raw bytes, the secrets and the time. The
// package is pure: it opens nothing, stores nothing and reads no clock.
//
// # Families
//
//	hmac                      a MAC over signed_content; algorithm hmac-sha256, …
//	hash_concat               a plain digest (sha256, md5, …) of signed_content, which contains {secret}
//	ed25519, ecdsa, rsa       a signature over signed_content by a private key of the provider
//	jwt                       a signed token (RFC 7519) beside the body, or as the body
//	shared_token              the secret itself in a header, the query or the body; in every item with []
//	basic_auth                user:password in Authorization
//	mtls                      a client certificate, given as Given.Certificate
//	http_message_signatures   RFC 9421 with Content-Digest (RFC 9530)
//
// Only api_callback is refused, with ErrUnsupported: such a request proves
// nothing, and what it names must be fetched from the provider.
//
// # Public keys
//
// A secret may be the provider's public key: PEM in every encoding, else as
// key_encoding says (hex_public_key, base64_public_key, base64_after_prefix:P,
// spki_der_base64, x509_pem, jwk). Where the provider publishes its keys instead,
// keys says where: at a fixed address, which may contain {kid}, or at one that the
// request names, whose host, path and certificate are then bounded. Verify only
// says what it needs; Given.Keys finds it (package verify/keys).
//
// algorithm of a public key is one of ed25519, ecdsa-p256-sha256 (ASN.1; -raw for r
// and s side by side), ecdsa-p384-sha384, ecdsa-p521-sha512, rsa-sha1, rsa-sha256,
// rsa-sha512 (PKCS #1 1.5), rsa-pss-sha256, rsa-pss-sha512; that of a JWT the
// names of RFC 7518 that are allowed, separated by spaces. "none" never is, and a
// public key is never taken for a shared secret.
//
// claims of a JWT must have one of the values: text, {config:x},
// {sha256_hex(body)}, {sha256_base64(body)}, {sha256_hex(url)}, {atlassian_qsh}. A
// name that ends in "?" must be there exactly when the request has a body.
// timestamp_header is jwt:iat, jwt:exp or jwt:nbf..exp: the claims that must be
// there; exp and nbf count whenever they are, with a minute to spare.
//
// require names paths and the values they must have, or the scheme does not apply:
// so that variants are told apart.
//
// # The language of hmac, hash_concat, ed25519, ecdsa and rsa
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
// algorithm of hmac hmac-sha256, hmac-sha1, hmac-sha512 or hmac-md5.
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
//	{crc32_dec(body)}             CRC-32 of the body as a decimal number (PayPal)
//	{secret}                      the secret, in hash_concat alone
//	{sns_canonical}               name and value of the fields Amazon SNS signs, a line each
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

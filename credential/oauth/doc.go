// Package oauth knows how a provider wants to be asked for tokens, and reads
// its answers. It is pure: from a profile's description it makes addresses and
// requests (R2.2, R2.3), and from an answer a Token or an Error. Who sends the
// requests, keeps the tokens and decides about time is not its concern.
//
// The protocols: OAuth 2.0 (RFC 6749) with the corrections of RFC 9700, PKCE
// (RFC 7636), JWT assertions (RFC 7521, RFC 7523), revocation (RFC 7009), the
// device grant (RFC 8628), the issuer in the answer (RFC 9207), ID tokens
// (OpenID Connect Core 1.0). Where providers go their own ways, the profile says
// so: renamed parameters, JSON bodies, addresses of their own for refreshing,
// other spellings of a token's end, errors with status 200.
//
// golang.org/x/oauth2 makes the PKCE pairs. Its token requests are not used:
// they know forms alone, answer errors with status 200 as tokens, and take the
// new refresh token away from whoever has to keep it before it is used.
package oauth

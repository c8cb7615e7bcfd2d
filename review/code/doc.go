// Package code looks through source code for what a review can't see in a plan:
// secrets, providers' hosts and SDKs outside of the adapter, provider calls that
// a request handler waits for, webhook handlers that verify nothing, thrown-away
// errors. It is the second half of package review and speaks in its findings.
//
// Go is read by its types where the module compiles (golang.org/x/tools/go/packages,
// without a network), so that a handler is found to call a provider through any
// number of functions in between; where it does not compile, its syntax is read
// and the findings say so. Other languages are read by patterns, line by line,
// with comments taken out.
//
// Secrets are looked for by the rules of gitleaks (gitleaks.toml, version 8.30.1,
// MIT, see gitleaks.LICENSE), unchanged. A secret is never printed: a finding
// shows its first four characters and its length.
//
// Nothing that is looked at is run: cgo is off, no hook of a repository is
// called, no module is downloaded.
package code

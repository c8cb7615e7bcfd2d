// Package catalog knows the providers: one YAML file each in providers, compiled
// into the binary. A profile holds facts (URLs, credentials, limits, error
// dialect, webhook signature), each section with its source and how sure we are;
// what a team chooses to do with them stands in its plan.
//
// Adding a provider is adding a file. Lint says what is wrong with it; a test
// runs it over every file.
//
// The provider's own API document may be embedded beside it, gzipped and
// otherwise unchanged, under documents.
package catalog

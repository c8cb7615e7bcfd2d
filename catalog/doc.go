// Package catalog knows the providers: one YAML file each in providers, compiled
// into the binary. A profile holds facts (URLs, credentials, limits, error
// dialect, webhook signature), each section with its source and how sure we are;
// what a team chooses to do with them stands in its plan. A section of which
// nothing is known is left out.
//
// A profile is read when it is asked for (Load). Lists and searches use an index
// that is made from the profiles (Index, Search). Beside adds a folder of one's
// own profiles in front.
//
// Adding a provider is adding a file; package start begins one from an API
// document. Lint says what is wrong with it, Check also where; a test runs it over
// every file, and SOURCES.md tells where the facts are from.
//
// The provider's own API document may be embedded beside it, gzipped and
// otherwise unchanged, under documents.
package catalog

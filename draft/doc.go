// Package draft turns a requirement in a sentence into a plan: it reads the
// sentence, ranks the operations of the provider's document against it, picks a
// small set with a reason each, and fills in what follows from the profile and
// the schemas (R8.1, R8.2, R1.2).
//
//   - Write makes a plan and a Report of how it was made.
//   - Merge adds a fresh plan to a file that people have edited, and changes
//     nothing that stands there (R8.3).
//
// How operations are picked, without a word about any provider: of each sentence
// what it asks for is kept, and what only tells why is context; that is split into
// clauses; each has verbs, which ask for a kind of operation (create,
// read, act, follow), and nouns, which name resources. Resources are the path
// segments of the document. People do not use the document's words, so a
// thesaurus of business words (thesaurus/) and an extract of WordNet say what
// a word may mean, and the document which of these it has. What a picked
// operation needs is picked with it: a reader for everything that is written,
// the parts of what is created, the list of events where webhooks are used.
// Everything else is ranked by BM25F over ids, paths, summaries, tags and
// descriptions, and what came close to a part of the need is kept as considered,
// with why it was not taken.
//
// How well that works is measured on the needs in testdata, in the provider's
// nouns and in lay words, beside a plain keyword ranking; go run
// ./draft/internal/recall prints it. Words that
// the best operations share (pseudo relevance feedback) were tried as well:
// they moved nothing into the candidates and were left out.
//
// The package thinks: it opens no file and no socket, and its only clock is
// Input.Now.
package draft

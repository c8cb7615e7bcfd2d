// Package openapi takes a provider's API document apart: its operations, their
// schemas, the event types it names, and what is wrong with it.
//
// Documents are read as they are found in the wild (R1.4): Swagger 2.0, OpenAPI
// 3.0 and 3.1, JSON or YAML, gzipped or not, with duplicate ids, missing
// security schemes, references to nothing, cycles, members that stand twice, in
// one file or in thousands. What does not stop the
// import is listed as a Defect; what does is an error with its line. Size,
// depth and the number of YAML nodes are bounded.
//
// The document stays as bytes, and schemas of components are converted when
// they are first asked for. On the 8 MB document of Stripe that is several
// times quicker and smaller than a whole model of a general library, and a plan
// needs a few schemas of a thousand. Keys keep their order.
//
// References are not expanded: a Schema with Ref set is followed by
// Document.Resolve, so cycles do no harm. References into other files are
// followed by ReadFile and in archives, never out of the root file's folder and
// never over the network; what can't be followed is a defect.
//
// A Document may be read by several goroutines at once.
package openapi

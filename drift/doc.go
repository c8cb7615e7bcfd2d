// Package drift notices when a provider's answers leave what its document, the
// plan's mapping rows or its own announcements promised (requirements R0.3 and
// R0.4): a field that is gone, a new value, another type, a Sunset header.
//
// It looks at a sample, outside the path of the call: an answer is copied into
// a bounded queue, and when that is full it is passed over. What was seen
// before costs a counter. One record is kept for each endpoint, place and kind.
//
// Examples show the shape of a value, never the value, because answers are full
// of people's data. Only a word out of a fixed set is shown, and not where the
// plan calls the field personal or secret.
//
// It is about noticing: a Checker that misses an answer, or looks at a part of
// a very large one, does its work well enough.
package drift

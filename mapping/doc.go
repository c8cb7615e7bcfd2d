// Package mapping compiles the rows of a plan's mapping tables into functions
// that turn a provider's JSON into yours (In) and yours into the provider's
// (Out). It is pure: no clock, no socket, no state; a Mapping may be used by
// many goroutines at once.
//
// # Paths
//
// A path is names joined by dots: "metadata.tenant_id". A dot inside a name is
// written "\.". "lines.data[*]" means every element of a list; [*] ends a path
// and stands on both sides of the row. Fields that no row names are dropped. A
// row whose parent is not an object finds its field missing. An object of which
// nothing was written is left out.
//
// # Values
//
// What a row may say, and what it does in both directions:
//
//	type                     as         in and out
//	string                   string     as it is
//	integer, number, unix    string     the number's text
//	boolean                  string     "true" and "false"
//	integer, number, string  integer    a whole number of any size
//	integer, number, string  decimal    a string such as "19.90", exact; see Money
//	boolean, string, integer boolean    "true" and "false", 1 and 0
//	unix, integer            datetime   seconds and RFC 3339 in UTC
//	string                   datetime   RFC 3339, brought to UTC
//	string, integer, boolean enum       by the row's values
//	string                   uuid       checked, in lower case
//	any                      json       as it is, checked against type when one is given
//	object                   a table    by the rows of that table
//
// Without a type a row takes the first one of its kind of value; with money()
// it is integer. In a row with [*] the type is that of an element.
//
// Numbers are never floats. Exponents are taken exactly (1.99e1 is 19.9) and
// never written. More than 128 digits are refused. A decimal on our side may
// also be given as a JSON number; it is always written as a string.
//
// # Money
//
// money(currency) reads an integer amount of minor units, and divides it by
// the exponent ISO 4217 gives the currency in the sibling field named currency:
// 1990 is "19.90" in USD, "1990" in JPY, "1.990" in KWD. A field name with a
// dot is a path from the top of the table instead of a sibling. Out multiplies,
// and refuses "19.905" USD rather than rounding. Zero needs no currency (a
// Stripe customer has none before the first invoice); any other amount without
// one is an error, as is a currency ISO 4217 does not know.
//
// On the way out the currency is the one the row of that field writes; when no
// row writes it, it is read from the field of the same name beside ours.
//
// Some providers keep their own exponents. They are named in the row:
// money(currency,ISK=2,UGX=2,MGA=0) is what Stripe documents for charges.
//
// # Policies
//
// missing and null speak about the provider's field. missing (omit, null, fail,
// value:X) applies on the way in; what is missing on our side is left out on
// the way out, so that a partial update stays partial. A row with direction out
// reads our side only, and its missing speaks about our field. null (null,
// omit, fail) applies in both directions. X is the value as it is written.
// unknown (fail, keep, null, value:X) is for enum values the row does not list;
// keep passes the value through both ways unless it would be taken for a listed
// one on the way back.
//
// # Laws
//
// For rows of direction both with the default missing policy and without
// unknown: null or value, out(in(x)) = x and in(out(y)) = y, where numbers are
// compared by value, instants by instant and UUIDs without regard to case.
// They are property tests of this package.
//
// # Input
//
// Input is one JSON object of at most 16 MiB and 64 levels in valid UTF-8, read
// in one pass that checks all of it. JSON parsers differ in which of two equal
// names they believe; here a name that a row reads may stand only once, and
// repeats of names no row reads do not matter.
package mapping

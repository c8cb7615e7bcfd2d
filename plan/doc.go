// Package plan is the plan file: how your product works with one third party,
// in one YAML file that everything else reads. The planner writes it, people
// review it, the gateway runs it, the sandbox stands in for what it names.
//
//   - Load and Parse read a file strictly and report every mistake of a run
//     with its line and column, never only the first.
//   - Marshal writes a plan in the layout people edit.
//   - Rows takes a plan apart into provable statements with stable ids;
//     Unenforced says which of them this version does not act upon.
//   - DefaultErrors and ErrorPolicy say what follows which answer (R4.17).
//   - Schema is the JSON Schema of the format, for editors.
//
// The types below are the format itself. Their comments are its manual:
// docs/plan-reference.md and the descriptions in the schema are generated from
// them ("go generate ./plan"). Three struct tags carry the rules of a key:
// jsonschema (required, enum, pattern, default), keys (pattern of the names in
// a map) and want (what a pattern means, in words, for the error message).
//
// The package thinks: it opens one file and no socket.
package plan

//go:generate go run ./internal/generate

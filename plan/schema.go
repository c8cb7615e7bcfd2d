package plan

import (
	"bytes"
	_ "embed"
)

// schemaJSON is generated; see doc.go.
//
//go:embed schema.json
var schemaJSON []byte

// Schema returns the JSON Schema (draft 2020-12) of the plan format, for
// editors and other programs. It sees every rule of a single key; the rules
// between keys (a reference to a mapping that isn't there) are Parse's alone.
// The error is always nil.
func Schema() ([]byte, error) { return bytes.Clone(schemaJSON), nil }

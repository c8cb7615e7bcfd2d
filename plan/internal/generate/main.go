// Command generate writes what is made from the types of package plan and
// their comments: plan/schema.json, the JSON Schema of the plan format, and
// docs/plan-reference.md. Run it with "go generate ./plan"; its test fails when
// either file is not current.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/invopop/jsonschema"
)

const module = "github.com/sallyport/sallyport"

// Files that are written, below the root of the repository.
const (
	schemaFile    = "plan/schema.json"
	referenceFile = "docs/plan-reference.md"
	exampleFile   = "plan/testdata/complete.yaml"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	if err := enterRoot(); err != nil {
		return err
	}
	files, err := outputs()
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// outputs makes every file, by name. The working directory is the root.
func outputs() (map[string][]byte, error) {
	c, err := readComments()
	if err != nil {
		return nil, err
	}
	schema, err := writeSchema(c)
	if err != nil {
		return nil, err
	}
	reference, err := writeReference(c)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{schemaFile: schema, referenceFile: reference}, nil
}

// enterRoot changes to the folder that holds go.mod.
func enterRoot() error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return os.Chdir(dir)
		}
		if filepath.Dir(dir) == dir {
			return fmt.Errorf("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// comments of types and fields, by qualified name: "…/plan.Endpoint.Call".
type comments map[string]string

// rowIDs are references to requirements, which only make sense to a reader of
// the source.
var rowIDs = regexp.MustCompile(` \(R[0-9][^)]*\)`)

func readComments() (comments, error) {
	var r jsonschema.Reflector
	if err := r.AddGoComments(module, "./plan", jsonschema.WithFullComment()); err != nil {
		return nil, err
	}
	c := comments{}
	for name, text := range r.CommentMap {
		c[name] = rowIDs.ReplaceAllString(strings.Join(strings.Fields(text), " "), "")
	}
	return c, nil
}

package catalog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// OwnFolder is the name of the folder beside the plans that holds profiles of
// one's own.
const OwnFolder = "catalog"

// Beside returns a way to find profiles that looks into a folder first: a
// profile of one's own, folder/ID.yaml, stands in place of the embedded one of
// that id, or adds one. A folder that is not there is no error. next finds what
// the folder does not have; Load is one.
//
// A profile of one's own is judged as the embedded ones are; its mistakes are
// *ParseError with the place, joined.
func Beside(folder string, next func(id string) (*Profile, error)) func(id string) (*Profile, error) {
	return func(id string) (*Profile, error) {
		if !slug.MatchString(id) {
			return next(id)
		}
		file := filepath.Join(folder, id+".yaml")
		data, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return next(id)
		}
		if err != nil {
			return nil, fmt.Errorf("read profile: %w", err)
		}
		return Check(file, data)
	}
}

// Own lists the profiles of a folder, sorted by id: those that can be read and
// are without fault, and the errors of the others, joined. A folder that is not
// there holds none.
func Own(folder string) ([]*Profile, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	var list []*Profile
	var failed []error
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			failed = append(failed, fmt.Errorf("read profile: %w", err))
			continue
		}
		p, err := Check(file, data)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *Profile) int { return strings.Compare(a.ID, b.ID) })
	return list, errors.Join(failed...)
}

// Check is Parse and Lint in one: a profile without fault, or every mistake as a
// *ParseError with its place, joined. The file must be named for the id.
func Check(name string, data []byte) (*Profile, error) {
	p, err := Parse(name, data)
	if err != nil {
		return nil, err
	}
	findings := Lint(p)
	if base := strings.TrimSuffix(filepath.Base(name), ".yaml"); p.ID != base {
		findings = append(findings, Finding{"id", "name", fmt.Sprintf("the file %s.yaml must hold the profile of that id, not of %q", base, p.ID)})
	}
	if len(findings) == 0 {
		return p, nil
	}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, parseError(name, err)
	}
	failed := make([]error, 0, len(findings))
	for _, f := range findings {
		e := &ParseError{File: name, Message: f.String()}
		if len(tree.Docs) > 0 {
			e.Line, e.Column = locate(tree.Docs[0].Body, f.Path)
		}
		failed = append(failed, e)
	}
	return nil, errors.Join(failed...)
}

// locate finds the place of a finding, or of the nearest part around it that
// stands in the file.
func locate(node ast.Node, path string) (line, column int) {
	line, column = 1, 1
	for path != "" && node != nil {
		var next ast.Node
		switch n := node.(type) {
		case *ast.MappingNode:
			next, path = step(n.Values, path, &line, &column)
		case *ast.MappingValueNode:
			next, path = step([]*ast.MappingValueNode{n}, path, &line, &column)
		case *ast.SequenceNode:
			inside, rest, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
			i, err := strconv.Atoi(inside)
			if !ok || err != nil || i < 0 || i >= len(n.Values) {
				return line, column
			}
			next, path = n.Values[i], strings.TrimPrefix(rest, ".")
			if token := next.GetToken(); token != nil && token.Position != nil {
				line, column = token.Position.Line, token.Position.Column
			}
		}
		node = next
	}
	return line, column
}

// step goes from a mapping to the member that the path begins with. A key may
// itself hold dots and brackets.
func step(values []*ast.MappingValueNode, path string, line, column *int) (next ast.Node, rest string) {
	for _, v := range values {
		key := v.Key.GetToken()
		if key == nil {
			continue
		}
		after, ok := strings.CutPrefix(path, key.Value)
		if !ok || after != "" && after[0] != '.' && after[0] != '[' {
			continue
		}
		if key.Position != nil {
			*line, *column = key.Position.Line, key.Position.Column
		}
		return v.Value, strings.TrimPrefix(after, ".")
	}
	return nil, ""
}

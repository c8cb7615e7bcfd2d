package catalog

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed providers/*.yaml
var providers embed.FS

// ErrUnknown is what Load answers when there is no profile of that id.
var ErrUnknown = errors.New("no such provider in the catalog")

// ParseError is a mistake in a profile file. Line and Column are counted from
// 1 and are 0 when the mistake has no place.
type ParseError struct {
	File         string
	Line, Column int
	Message      string // what is wrong, in a line
	Excerpt      string // the lines around it with a caret, ready to print; may be empty
}

// Error is "file:line:column: message".
func (e *ParseError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Parse reads a profile. It is strict: an unknown key, a key written twice and a
// value of the wrong kind are errors, a *ParseError with the place. name is the
// file's name, for the error. Parse does not judge the content; Lint does.
func Parse(name string, data []byte) (*Profile, error) {
	var p Profile
	decoder := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := decoder.Decode(&p); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &ParseError{File: name, Message: "the file is empty"}
		}
		return nil, parseError(name, err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, &ParseError{File: name, Message: "one profile a file; remove the second document"}
	}
	return &p, nil
}

func parseError(name string, err error) *ParseError {
	e := &ParseError{File: name, Message: err.Error()}
	var at yaml.Error
	if errors.As(err, &at) {
		e.Message = at.GetMessage()
		e.Excerpt = at.FormatError(false, true)
		if token := at.GetToken(); token != nil && token.Position != nil {
			e.Line, e.Column = token.Position.Line, token.Position.Column
		}
	}
	return e
}

// parsed holds each embedded profile as JSON once it was read: YAML takes
// milliseconds, a copy out of JSON a fraction of one.
var parsed sync.Map // id → func() ([]byte, error)

// Load returns the embedded profile of that id. Every call returns a copy of its
// own, free to be changed. An id that is not there is an ErrUnknown that names
// the nearest one and all there are.
func Load(id string) (*Profile, error) {
	once, _ := parsed.LoadOrStore(id, sync.OnceValues(func() ([]byte, error) { return read(id) }))
	data, err := once.(func() ([]byte, error))()
	if err != nil {
		parsed.Delete(id) // the ids that people try must not add up
		return nil, err
	}
	var p Profile
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("copying profile %s: %w", id, err)
	}
	return &p, nil
}

func read(id string) ([]byte, error) {
	ids := IDs()
	if !slices.Contains(ids, id) {
		hint := ";"
		if near := nearest(id, ids); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		return nil, fmt.Errorf("%w: %q%s there are %s", ErrUnknown, id, hint, strings.Join(ids, ", "))
	}
	file := path.Join("providers", id+".yaml")
	data, err := providers.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p, err := Parse("catalog/"+file, data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(p)
}

// IDs lists the embedded profiles, sorted.
func IDs() []string {
	entries, err := fs.ReadDir(providers, "providers")
	if err != nil {
		return nil // the folder is embedded: it can't fail
	}
	ids := make([]string, 0, len(entries))
	for _, e := range entries {
		ids = append(ids, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return ids
}

// All returns every embedded profile, sorted by id, as copies.
func All() ([]*Profile, error) {
	var all []*Profile
	for _, id := range IDs() {
		p, err := Load(id)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// nearest returns the word that id begins, or else the one with the fewest
// edits to it; empty when none is near.
func nearest(id string, among []string) string {
	id = strings.ToLower(id)
	if id == "" || len(id) > 64 {
		return ""
	}
	best, least := "", len(id)/2+1
	for _, word := range among {
		if strings.HasPrefix(word, id) {
			return word
		}
		if d := edits(id, word); d < least {
			best, least = word, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two short words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

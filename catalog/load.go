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

// maxSize of a profile's file; the largest of the embedded ones has 9 kB.
const maxSize = 1 << 20

// Parse reads a profile. It is strict: an unknown key, a key written twice and a
// value of the wrong kind are errors, a *ParseError with the place. name is the
// file's name, for the error. Parse does not judge the content; Lint does.
func Parse(name string, data []byte) (profile *Profile, err error) {
	// The YAML reader panics on some input that nobody would write, such as a
	// tagged number where a list belongs.
	defer func() {
		if r := recover(); r != nil {
			profile, err = nil, &ParseError{File: name, Message: fmt.Sprintf("this is no profile: the YAML can't be read (%v)", r)}
		}
	}()
	if len(data) > maxSize {
		return nil, &ParseError{File: name, Message: fmt.Sprintf("%d bytes are too many for a profile; %d are allowed", len(data), maxSize)}
	}
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

// Load returns the embedded profile of that id, or of that alias. Every call
// returns a copy of its own, free to be changed. An id that is not there is an
// ErrUnknown that names the nearest ones.
func Load(id string) (*Profile, error) {
	if canonical, ok := names()[id]; ok {
		id = canonical
	}
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
	if known, ok := names()[id]; !ok || known != id {
		return nil, unknown(id)
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

func unknown(id string) error {
	hint := fmt.Sprintf("there are %d; look for one with: sallyport catalog search TEXT", len(IDs()))
	var near []string
	for _, hit := range Search(id) {
		if hit.near && hit.Score > 65 && len(near) < 3 {
			near = append(near, hit.ID)
		}
	}
	if len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	if len(id) > 64 {
		id = id[:64]
	}
	return fmt.Errorf("%w: %q; %s", ErrUnknown, id, hint)
}

// names maps every id and every alias to an id; - in an id may be written _.
var names = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for _, s := range Index() {
		all[strings.ReplaceAll(s.ID, "-", "_")] = s.ID
		for _, alias := range s.Aliases {
			all[alias] = s.ID
		}
	}
	for _, s := range Index() {
		all[s.ID] = s.ID
	}
	return all
})

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
	slices.Sort(ids)
	return ids
}

// All returns every embedded profile, sorted by id, as copies. It reads every
// file, which takes a tenth of a second; Index is for lists.
func All() ([]*Profile, error) {
	ids := IDs()
	all, failed := make([]*Profile, len(ids)), make([]error, len(ids))
	var readers sync.WaitGroup
	for i, id := range ids {
		readers.Go(func() { all[i], failed[i] = Load(id) })
	}
	readers.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	return all, nil
}

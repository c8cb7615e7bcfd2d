package openapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// What a document may be at most. The largest real one known has 13 MB, and the
// deepest nests 32 levels.
const (
	maxBytes   = 64 << 20 // unpacked, all files of a document together
	maxYAML    = 24 << 20 // unpacked, when it is YAML
	maxNesting = 160      // objects and lists in each other
	maxDepth   = 120      // nested schemas
	maxNodes   = 2 << 20  // of a YAML document, aliases followed
	maxFiles   = 10_000   // of a document in several files
	enough     = 500      // defects; a document with more is broken in one way many times
)

// Read takes a provider's document: JSON or YAML, Swagger 2.0 or OpenAPI 3.0 or
// 3.1, plain, gzipped, or a document of several files in a tar archive. What is
// wrong with it and did not stop the import is in Defects. An error means that
// it is no such document; it names the line.
//
// Of a single file only what stands in it is read; ReadFile reads the files
// beside it that it refers to.
func Read(data []byte) (*Document, error) {
	data, err := unpack(data)
	if err != nil {
		return nil, err
	}
	if isTar(data) {
		files, root, err := untar(data)
		if err != nil {
			return nil, err
		}
		return read(files, root, files[root], digest(data))
	}
	return read(nil, "", data, digest(data))
}

// ReadFile reads a document by its path, as Read does, and with it the files it
// refers to, if they stand in the same folder or below. Nothing outside that
// folder is opened, also not through a symbolic link.
func ReadFile(path string) (*Document, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	if !info.Mode().IsRegular() && !info.IsDir() { // a pipe, which has nothing beside it
		data, err := readPipe(path)
		if err != nil {
			return nil, err
		}
		return Read(data)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	defer root.Close()
	return ReadFS(root.FS(), filepath.Base(path))
}

func readPipe(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	return data, nil
}

// ReadFS is ReadFile in a file system.
func ReadFS(files fs.FS, name string) (*Document, error) {
	data, err := open(files, name, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	if data, err = unpack(data); err != nil {
		return nil, err
	}
	if isTar(data) {
		return Read(data)
	}
	return read(files, name, data, digest(data))
}

// read builds the document from its root file. files may be nil: there are no
// others.
func read(files fs.FS, name string, data []byte, sum string) (*Document, error) {
	b := &bundle{files: files, root: name, names: map[string]string{}, missing: map[string]string{}, seen: map[string]bool{}, room: maxBytes}
	raw, err := b.read(data)
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	d := &Document{SHA256: b.digest(sum), Files: b.others(), Defects: b.defects}
	if err := d.build(gjson.ParseBytes(raw), b); err != nil {
		return nil, err
	}
	return d, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// unpack undoes gzip (RFC 1952) where there is any, and bounds the size.
func unpack(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		if len(data) > maxBytes {
			return nil, fmt.Errorf("openapi: the document has %d MB; at most %d are read", len(data)>>20, maxBytes>>20)
		}
		return data, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("openapi: the gzipped document can't be unpacked: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("openapi: the gzipped document can't be unpacked: %w", err)
	case len(out) > maxBytes:
		return nil, fmt.Errorf("openapi: the document unpacks to more than %d MB", maxBytes>>20)
	}
	return out, nil
}

// toJSON makes valid JSON of one file, each member once, and lists the
// references in it.
func toJSON(data []byte) (*scanner, []Defect, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, nil, errors.New("line 1: the document is UTF-16; save it as UTF-8")
	}
	var defects []Defect
	if !utf8.Valid(data) {
		defects = append(defects, Defect{Where: fmt.Sprintf("line %d", line(data, firstInvalid(data))), Rule: "invalid-utf-8", Message: "the document is no valid UTF-8; what is not was replaced by U+FFFD"})
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	trimmed := bytes.TrimLeft(data, " \t\r\n")
	if len(trimmed) == 0 {
		return nil, nil, errors.New("the document is empty")
	}
	raw := data
	if trimmed[0] != '{' {
		var more []Defect
		var err error
		if raw, more, err = yamlToJSON(data); err != nil {
			return nil, nil, err
		}
		defects = append(defects, more...)
	} else if !json.Valid(raw) {
		return nil, nil, jsonError(raw)
	}
	s, err := scan(raw)
	var deep deepError
	if errors.As(err, &deep) {
		return nil, nil, fmt.Errorf("line %d: %w", line(raw, deep.offset), err)
	}
	if len(s.cuts) == 0 {
		return s, defects, nil
	}
	for i, cut := range s.cuts[:min(len(s.cuts), enough)] {
		defects = append(defects, duplicateKey(line(raw, cut[1]), s.twice[i]))
	}
	s, err = scan(s.withoutRepeats())
	return s, defects, err
}

func duplicateKey(line int, name string) Defect {
	return Defect{Where: fmt.Sprintf("line %d", line), Rule: "duplicate-key", Message: fmt.Sprintf("%.100q stands there twice; the first is taken", name)}
}

// firstInvalid is where the first byte stands that is no UTF-8.
func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
	return len(data)
}

// jsonError says where JSON breaks. What begins like JSON may be YAML's flow
// style, which is not read.
func jsonError(data []byte) error {
	var syntax *json.SyntaxError
	var v json.RawMessage
	if err := json.Unmarshal(data, &v); errors.As(err, &syntax) {
		return fmt.Errorf("line %d, byte %d: the document is no valid JSON: %w", line(data, int(syntax.Offset)), syntax.Offset, err)
	}
	return errors.New("the document is no valid JSON")
}

// open reads one file of at most limit bytes.
func open(files fs.FS, name string, limit int) ([]byte, error) {
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", name)
	}
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("%s: %w", name, errTooLarge)
	}
	return data, nil
}

var errTooLarge = fmt.Errorf("there are more than %d MB of documents", maxBytes>>20)

// isRoot reports whether a file begins a document.
func isRoot(data []byte) bool {
	for at := range bytes.Lines(data) {
		at = bytes.TrimLeft(at, "\"' \t{\ufeff")
		if bytes.HasPrefix(at, []byte("openapi")) || bytes.HasPrefix(at, []byte("swagger")) {
			rest := strings.TrimLeft(string(at[len("openapi"):min(len(at), 40)]), "\"' \t")
			if strings.HasPrefix(rest, ":") {
				return true
			}
		}
	}
	return false
}

package openapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"
)

// filesMember is the member of the root under which the other files of a
// document stand, by name, once they are read.
const filesMember = "x-sallyport-files"

// bundle makes one document of several files: the others become members of the
// root, and references to them become references into it. Nothing is expanded,
// so files may refer to each other in circles.
type bundle struct {
	files   fs.FS // nil: there are no others
	root    string
	names   map[string]string // file → digest; those that are read
	queue   []string          // found and not yet read
	missing map[string]string // reference as it is written → why it can't be followed
	room    int               // bytes that may still be read
	defects []Defect

	references []string // as they are in the whole document, each once, in order
	seen       map[string]bool
}

// read takes the root file and returns the whole document as JSON.
func (b *bundle) read(data []byte) ([]byte, error) {
	b.room -= len(data)
	s, defects, err := toJSON(data)
	if err != nil {
		return nil, err
	}
	b.defects = defects
	raw := b.rewrite(s, b.root)
	if len(b.queue) == 0 {
		return raw, nil
	}
	end := bytes.LastIndexByte(raw, '}')
	if end < 0 {
		return raw, nil
	}
	out := append(bytes.Clone(raw[:end]), []byte(`,"`+filesMember+`":{`)...)
	for i := 0; i < len(b.queue); i++ {
		name := b.queue[i]
		content, err := b.other(name)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, quoted...), ':'), content...)
		if len(out) > 2*maxBytes {
			return nil, errTooLarge
		}
	}
	return append(out, '}', '}'), nil
}

// other reads one more file. One that is no JSON and no YAML is text, such as a
// description in Markdown; one that is broken is a defect.
func (b *bundle) other(name string) ([]byte, error) {
	data, err := open(b.files, name, b.room)
	if errors.Is(err, errTooLarge) {
		return nil, err
	}
	if err == nil {
		b.room -= len(data)
		b.names[name] = digest(data)
		if !isDocument(name) {
			return json.Marshal(string(bytes.ToValidUTF8(data, []byte("\uFFFD"))))
		}
		var s *scanner
		var defects []Defect
		if s, defects, err = toJSON(data); err == nil {
			for _, d := range defects {
				d.Where = name + ", " + d.Where
				b.defect(d)
			}
			return b.rewrite(s, name), nil
		}
	}
	b.defect(Defect{Where: name, Rule: "unreadable-file", Message: reason(err)})
	return []byte("null"), nil
}

func (b *bundle) defect(d Defect) {
	if len(b.defects) < enough {
		b.defects = append(b.defects, d)
	}
}

// reason is an error without the path of the operation, which a person knows
// already.
func reason(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return err.Error()
}

// rewrite turns the references of one file into references inside the whole
// document. What can't be followed stays as it is.
func (b *bundle) rewrite(s *scanner, file string) []byte {
	var out bytes.Buffer
	at := 0
	for _, r := range s.references {
		target, ok := b.target(file, r.text)
		if !ok {
			target = r.text
		}
		if !b.seen[target] {
			b.seen[target] = true
			b.references = append(b.references, target)
		}
		if target == r.text {
			continue
		}
		quoted, err := json.Marshal(target)
		if err != nil {
			continue
		}
		out.Write(s.data[at:r.start])
		out.Write(quoted)
		at = r.end
	}
	if at == 0 {
		return s.data
	}
	out.Write(s.data[at:])
	return out.Bytes()
}

// target is where a reference of a file leads in the whole document.
func (b *bundle) target(file, ref string) (string, bool) {
	place, fragment, _ := strings.Cut(ref, "#")
	name := file
	if place != "" {
		var why string
		if name, why = b.locate(file, place); why != "" {
			b.missing[ref] = why
			return "", false
		}
	}
	if name == b.root {
		return "#" + fragment, true
	}
	if _, known := b.names[name]; !known {
		if len(b.names) >= maxFiles {
			b.missing[ref] = fmt.Sprintf("is one file more than the %d that are read", maxFiles)
			return "", false
		}
		b.names[name] = ""
		b.queue = append(b.queue, name)
	}
	return strings.TrimSuffix("#/"+filesMember+"/"+escape(name)+fragment, "/"), true
}

// locate finds the file that a reference names, or says why it is not read: it
// must stand in the folder of the root file or below.
func (b *bundle) locate(from, place string) (name, why string) {
	plain, err := url.PathUnescape(place)
	if err != nil {
		return "", "is no valid reference"
	}
	switch {
	case strings.Contains(plain, "://") || strings.HasPrefix(plain, "//"):
		return "", "is on another host, which is not asked"
	case b.files == nil:
		return "", "is in another file, which is not read"
	}
	name = path.Join(path.Dir(from), strings.ReplaceAll(plain, `\`, "/"))
	base := path.Dir(b.root)
	if strings.HasPrefix(plain, "/") || !fs.ValidPath(name) || (base != "." && !strings.HasPrefix(name, base+"/")) {
		return "", "is outside of the document's folder, which is not read"
	}
	info, err := fs.Stat(b.files, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", "is in a file that is not there"
	case err != nil || !info.Mode().IsRegular():
		return "", "is in something that can't be read as a file"
	}
	return name, ""
}

var escaper = strings.NewReplacer("~", "~0", "/", "~1", "%", "%25")

// escape makes a step of a JSON pointer (RFC 6901, section 3).
func escape(name string) string {
	if !strings.ContainsAny(name, "~/%") {
		return name
	}
	return escaper.Replace(name)
}

// others are the files that were read besides the root, sorted.
func (b *bundle) others() []string {
	names := make([]string, 0, len(b.names))
	for name := range b.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// digest is the root's when it stands alone; else one over all files, so that a
// change in any of them shows.
func (b *bundle) digest(root string) string {
	if _, packed := b.files.(archive); packed || len(b.names) == 0 {
		return root
	}
	all := sha256.New()
	fmt.Fprintf(all, "%s  %s\n", root, path.Base(b.root))
	for _, name := range b.others() {
		fmt.Fprintf(all, "%s  %s\n", b.names[name], name)
	}
	return hex.EncodeToString(all.Sum(nil))
}

// shortName is what a schema in a file of its own is called: the file's name.
// Schemas under components or definitions keep theirs.
func shortName(pointer string) string {
	rest, ok := strings.CutPrefix(pointer, "#/"+filesMember+"/")
	if !ok {
		return ""
	}
	file, fragment, inside := strings.Cut(rest, "/")
	if !inside {
		base := path.Base(unescape(file))
		return strings.TrimSuffix(base, path.Ext(base))
	}
	for _, place := range []string{"components/schemas/", "definitions/"} {
		if name, ok := strings.CutPrefix(fragment, place); ok && !strings.Contains(name, "/") {
			return unescape(name)
		}
	}
	if !strings.Contains(fragment, "/") {
		return unescape(fragment)
	}
	return ""
}

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
	"strings"

	"github.com/tidwall/gjson"
	"go.yaml.in/yaml/v4"
)

// What a document may be at most. The largest real one known has 13 MB.
const (
	maxBytes   = 64 << 20 // unpacked
	maxYAML    = 24 << 20 // unpacked, when it is YAML
	maxNesting = 250      // objects and lists in each other
	maxDepth   = 120      // nested schemas
	maxNodes   = 2 << 20  // of a YAML document, aliases followed
)

// Read takes a provider's document, plain or gzipped, JSON or YAML, Swagger
// 2.0 or OpenAPI 3.0 or 3.1. What is wrong with it and did not stop the import
// is in Defects. An error means that it is no such document; it names the line.
func Read(data []byte) (*Document, error) {
	data, err := unpack(data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	raw, err := toJSON(data)
	if err != nil {
		return nil, err
	}
	d := &Document{SHA256: hex.EncodeToString(sum[:])}
	if err := d.build(gjson.ParseBytes(raw)); err != nil {
		return nil, err
	}
	return d, nil
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

// toJSON returns JSON as it is and YAML as JSON, keys in their order.
func toJSON(data []byte) ([]byte, error) {
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(trimmed) == 0 {
		return nil, errors.New("openapi: the document is empty")
	}
	if trimmed[0] == '{' {
		if !json.Valid(trimmed) {
			return nil, jsonError(trimmed)
		}
		if line, deep := tooDeep(trimmed); deep {
			return nil, fmt.Errorf("openapi: line %d: the document is nested deeper than %d levels", line, maxNesting)
		}
		return trimmed, nil
	}
	if len(trimmed) > maxYAML {
		return nil, fmt.Errorf("openapi: the YAML document has %d MB; at most %d are read; convert it to JSON", len(trimmed)>>20, maxYAML>>20)
	}
	var node yaml.Node
	if err := yaml.Unmarshal(trimmed, &node); err != nil {
		return nil, fmt.Errorf("openapi: the document is neither JSON nor YAML: %w", err)
	}
	w := yamlWriter{open: map[*yaml.Node]bool{}}
	if err := w.write(&node); err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	return w.out.Bytes(), nil
}

// jsonError says where JSON breaks.
func jsonError(data []byte) error {
	var syntax *json.SyntaxError
	var v json.RawMessage
	if err := json.Unmarshal(data, &v); errors.As(err, &syntax) {
		before := data[:min(int(syntax.Offset), len(data))]
		line := bytes.Count(before, []byte{'\n'}) + 1
		return fmt.Errorf("openapi: line %d, byte %d: the document is no valid JSON: %w", line, syntax.Offset, err)
	}
	return errors.New("openapi: the document is no valid JSON")
}

// tooDeep reports whether objects and lists stand in each other deeper than any
// document needs, and where. Nesting multiplies the time that reading takes.
func tooDeep(data []byte) (line int, deep bool) {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return bytes.Count(data[:i], []byte{'\n'}) + 1, true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return 0, false
}

// yamlWriter writes a YAML tree as JSON. It counts what it writes, so that
// aliases can't multiply without end.
type yamlWriter struct {
	out   bytes.Buffer
	nodes int
	depth int
	open  map[*yaml.Node]bool // aliases being followed
}

func (w *yamlWriter) write(n *yaml.Node) error {
	w.nodes++
	if w.nodes > maxNodes || w.out.Len() > maxBytes {
		return fmt.Errorf("line %d: the document has more than %d nodes or %d MB once its aliases are followed", n.Line, maxNodes, maxBytes>>20)
	}
	w.depth++
	defer func() { w.depth-- }()
	if w.depth > maxNesting {
		return fmt.Errorf("line %d: the document is nested too deeply", n.Line)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return errors.New("the document is empty")
		}
		return w.write(n.Content[0])
	case yaml.AliasNode:
		if w.open[n.Alias] {
			return fmt.Errorf("line %d: an alias contains itself", n.Line)
		}
		w.open[n.Alias] = true
		defer delete(w.open, n.Alias)
		return w.write(n.Alias)
	case yaml.MappingNode:
		return w.mapping(n)
	case yaml.SequenceNode:
		w.out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				w.out.WriteByte(',')
			}
			if err := w.write(item); err != nil {
				return err
			}
		}
		w.out.WriteByte(']')
		return nil
	}
	return w.scalar(n)
}

func (w *yamlWriter) mapping(n *yaml.Node) error {
	w.out.WriteByte('{')
	written := map[string]bool{}
	if err := w.members(n, written); err != nil {
		return err
	}
	w.out.WriteByte('}')
	return nil
}

// members writes the pairs of a mapping, its own before those that it merges
// ("<<"), which don't replace what stands there.
func (w *yamlWriter) members(n *yaml.Node, written map[string]bool) error {
	w.depth++
	defer func() { w.depth-- }()
	if w.depth > maxNesting {
		return fmt.Errorf("line %d: the document is nested too deeply", n.Line)
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: a key is no text", key.Line)
		}
		if written[key.Value] {
			continue
		}
		if len(written) > 0 {
			w.out.WriteByte(',')
		}
		written[key.Value] = true
		if err := w.text(key.Value); err != nil {
			return err
		}
		w.out.WriteByte(':')
		if err := w.write(value); err != nil {
			return err
		}
	}
	for _, m := range merged {
		if err := w.merge(m, written); err != nil {
			return err
		}
	}
	return nil
}

func (w *yamlWriter) merge(m *yaml.Node, written map[string]bool) error {
	if w.nodes++; w.nodes > maxNodes {
		return fmt.Errorf("line %d: the document merges too much", m.Line)
	}
	switch m.Kind {
	case yaml.AliasNode:
		if w.open[m.Alias] {
			return fmt.Errorf("line %d: an alias contains itself", m.Line)
		}
		w.open[m.Alias] = true
		defer delete(w.open, m.Alias)
		return w.merge(m.Alias, written)
	case yaml.MappingNode:
		return w.members(m, written)
	case yaml.SequenceNode:
		for _, one := range m.Content {
			if one.Kind == yaml.SequenceNode {
				return fmt.Errorf("line %d: a list of lists can't be merged", one.Line)
			}
			if err := w.merge(one, written); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("line %d: only mappings can be merged", m.Line)
}

func (w *yamlWriter) scalar(n *yaml.Node) error {
	switch n.Tag {
	case "!!null":
		w.out.WriteString("null")
		return nil
	case "!!bool":
		w.out.WriteString(strings.ToLower(n.Value))
		return nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			w.out.WriteString(n.Value)
			return nil
		}
	}
	return w.text(n.Value)
}

func (w *yamlWriter) text(s string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	w.out.Write(b)
	return nil
}

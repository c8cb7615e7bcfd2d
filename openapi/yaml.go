package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxSeparators bounds what a YAML document can hold before its tree is made,
// which takes many times its bytes.
const maxSeparators = 2 << 20

// yamlToJSON writes a YAML document as JSON, keys in their order. The members
// that stand twice in one mapping are left out and told of.
func yamlToJSON(data []byte) ([]byte, []Defect, error) {
	if len(data) > maxYAML {
		return nil, nil, fmt.Errorf("the YAML document has %d MB; at most %d are read; convert it to JSON", len(data)>>20, maxYAML>>20)
	}
	separators := 0
	for _, c := range data {
		if c == '\n' || c == ',' || c == '[' || c == '{' {
			separators++
		}
	}
	if separators > maxSeparators {
		return nil, nil, fmt.Errorf("the YAML document has more than %d lines and list elements; convert it to JSON", maxSeparators)
	}
	var node yaml.Node
	if err := yaml.Unmarshal(data, &node); err != nil {
		return nil, nil, fmt.Errorf("the document is neither JSON nor YAML: %w", err)
	}
	w := yamlWriter{open: map[*yaml.Node]bool{}}
	if err := w.write(&node); err != nil {
		return nil, nil, err
	}
	return w.out.Bytes(), w.defects, nil
}

// yamlWriter writes a YAML tree as JSON. It counts what it writes, so that
// aliases can't multiply without end.
type yamlWriter struct {
	out   bytes.Buffer
	nodes int
	depth int
	open  map[*yaml.Node]bool // aliases being followed

	defects []Defect
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
	own := map[string]bool{}
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
			if own[key.Value] && len(w.defects) < enough {
				w.defects = append(w.defects, duplicateKey(key.Line, key.Value))
			}
			continue
		}
		own[key.Value] = true
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
		if v := strings.ToLower(n.Value); v == "true" || v == "false" {
			w.out.WriteString(v)
			return nil
		}
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

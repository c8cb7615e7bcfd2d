package sandbox

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/sallyport/sallyport/plan"
)

// maxFaultFile bounds a list of faults.
const maxFaultFile = 64 << 10

// ParseFaults reads a list of faults in YAML or JSON. Name stands in errors,
// which lead with name:line:column. Unknown keys are errors, as are anchors,
// aliases and tags; every fault that is wrong is reported. Whether an endpoint
// exists is checked by New.
func ParseFaults(name string, data []byte) ([]Fault, error) {
	if len(data) > maxFaultFile {
		return nil, fmt.Errorf("%s: the file is larger than 64 kB", name)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	if err := plainYAML(name, data); err != nil {
		return nil, err
	}
	list, err := decodeFaults(data)
	if err != nil {
		var y yaml.Error
		if errors.As(err, &y) && y.GetToken() != nil {
			at := y.GetToken().Position
			return nil, fmt.Errorf("%s:%d:%d: %s", name, at.Line, at.Column, y.GetMessage())
		}
		return nil, fmt.Errorf("%s:%s: %w", name, badDuration(data), err)
	}
	var errs []error
	for i, f := range list {
		if field, wrong := f.invalid(); wrong != "" {
			errs = append(errs, fmt.Errorf("%s:%s: %s", name, place(data, i, field), wrong))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return list, nil
}

// plainYAML refuses what lists of faults have no use for and YAML libraries
// stumble over.
func plainYAML(name string, data []byte) error {
	const deepest = 8
	depth := 0
	for _, t := range lexer.Tokenize(string(data)) {
		wrong := ""
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType, token.MappingKeyType, token.DirectiveType:
			wrong = fmt.Sprintf("%q has no place in a list of faults; text that begins so needs quotes", t.Value)
		case token.MappingStartType, token.SequenceStartType:
			if depth++; depth > deepest {
				wrong = "nested too deeply"
			}
		case token.MappingEndType, token.SequenceEndType:
			depth--
		}
		if wrong != "" {
			return fmt.Errorf("%s:%d:%d: %s", name, t.Position.Line, t.Position.Column, wrong)
		}
	}
	return nil
}

// decodeFaults turns a panic of the YAML library, should there be one, into an
// error: the list may come over HTTP.
func decodeFaults(data []byte) (list []Fault, err error) {
	defer func() {
		if recover() != nil {
			list, err = nil, errors.New("the YAML can't be read")
		}
	}()
	err = yaml.UnmarshalWithOptions(data, &list, yaml.Strict(), yaml.DisallowUnknownField())
	return list, err
}

// badDuration is the place of the first length of time that is none; the
// decoder reports those without one.
func badDuration(data []byte) string {
	var list []map[string]any
	if yaml.Unmarshal(data, &list) != nil {
		return "1:1"
	}
	for i, fault := range list {
		for _, field := range []string{"latency", "retry_after"} {
			if v, there := fault[field]; there {
				if _, err := plan.ParseDuration(fmt.Sprint(v)); err != nil {
					return place(data, i, field)
				}
			}
		}
	}
	return "1:1"
}

// place is line and column of a field of the i-th fault, or of the fault.
func place(data []byte, i int, field string) string {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return "1:1"
	}
	for _, expr := range []string{fmt.Sprintf("$[%d].%s", i, field), fmt.Sprintf("$[%d]", i)} {
		path, err := yaml.PathString(expr)
		if err != nil {
			continue
		}
		if n, err := path.FilterFile(file); err == nil && n != nil {
			at := n.GetToken().Position
			return fmt.Sprintf("%d:%d", at.Line, at.Column)
		}
	}
	return "1:1"
}

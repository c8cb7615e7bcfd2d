package plan

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a plan file. A file beyond them is a mistake or an attack: the
// largest plan known has 3,000 lines and six levels.
const (
	maxSize    = 4 << 20 // bytes
	maxDepth   = 32      // levels of nesting
	maxEntries = 20_000  // keys and list elements on lines of their own; the parser's time grows with the square of these
)

// readTree turns a plan file into its YAML tree, or says what keeps it from
// being one. A UTF-8 byte order mark and Windows line ends are accepted.
// Anchors, aliases, merge keys and tags are not: a plan is read by people line
// by line, and every line should say what it says.
func readTree(data []byte) (ast.Node, []Problem) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if p, bad := checkBytes(data); bad {
		return nil, []Problem{p}
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	tokens := lexer.Tokenize(string(data))
	if problems := checkTokens(tokens); len(problems) > 0 {
		return nil, problems
	}
	file, err := parseTokens(tokens)
	if err != nil {
		return nil, []Problem{syntaxProblem(err)}
	}
	return oneDocument(file)
}

func syntax(line, column int, message, hint string) Problem {
	return Problem{Position: Position{line, column}, Rule: RuleSyntax, Message: message, Hint: hint}
}

// checkBytes refuses what is no text of this format at all.
func checkBytes(data []byte) (p Problem, bad bool) {
	if len(data) > maxSize {
		return syntax(1, 1, "the file is larger than 4 MB", "a plan holds decisions; keep the provider's document in a file of its own and name it in profile.spec"), true
	}
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return syntax(1, 1, "the file is UTF-16", "save it as UTF-8"), true
	}
	line, column, indent := 1, 1, true
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return syntax(line, column, "the file is not UTF-8", "save it as UTF-8"), true
		case r == '\n':
			line, column, indent = line+1, 0, true
		case r == '\r' && i+1 < len(data) && data[i+1] == '\n':
		case r == '\t' && indent:
			return syntax(line, column, "a tab stands in the indentation", "indent with spaces"), true
		case r < ' ' && r != '\t', r == 0x7f:
			return syntax(line, column, fmt.Sprintf("control character %U", r), "remove it; in double quotes it can be written as an escape"), true
		case r != ' ':
			indent = false
		}
		i += size
		column++
	}
	return Problem{}, false
}

// checkTokens refuses the parts of YAML that plans don't use, and nesting that
// only serves to exhaust the parser.
func checkTokens(tokens token.Tokens) []Problem {
	var list []Problem
	var depth nesting
	refuse := func(t *token.Token, what, hint string) {
		if len(list) < 20 {
			list = append(list, syntax(t.Position.Line, t.Position.Column, what, hint))
		}
	}
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.AliasType:
			refuse(t, "anchors and aliases are not part of the plan format", "write the value out; text that begins with & or * needs quotes")
		case token.MergeKeyType:
			refuse(t, "merge keys are not part of the plan format", "write the keys out")
		case token.TagType:
			refuse(t, "tags are not part of the plan format", "leave it out; text that begins with ! needs quotes")
		case token.MappingKeyType:
			refuse(t, `"?" keys are not part of the plan format`, "write key: value")
		case token.DirectiveType:
			refuse(t, "directives are not part of the plan format", "leave it out; text that begins with % needs quotes")
		}
		if depth.step(t) > maxDepth {
			refuse(t, fmt.Sprintf("nested deeper than %d levels", maxDepth), "")
			return list
		}
		if depth.entries > maxEntries {
			refuse(t, fmt.Sprintf("more than %d keys and list elements", maxEntries), "a plan names what you use, not everything the provider has")
			return list
		}
	}
	return list
}

// nesting follows how deep the tokens of a file are nested, so that depth is
// known before a recursive parser sees them.
type nesting struct {
	flow    int
	block   []nested
	entries int // in blocks
}

type nested struct {
	column int
	list   bool
}

func (n *nesting) step(t *token.Token) int {
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		n.flow++
	case token.MappingEndType, token.SequenceEndType:
		n.flow = max(0, n.flow-1)
	case token.SequenceEntryType:
		n.open(nested{t.Position.Column, true})
	case token.MappingValueType:
		if t.Prev != nil {
			n.open(nested{t.Prev.Position.Column, false})
		}
	}
	return n.flow + len(n.block)
}

func (n *nesting) open(e nested) {
	if n.flow > 0 {
		return
	}
	n.entries++
	for len(n.block) > 0 {
		top := n.block[len(n.block)-1]
		// A list may stand at the column of its key.
		if top.column < e.column || top.column == e.column && e.list && !top.list {
			break
		}
		n.block = n.block[:len(n.block)-1]
	}
	n.block = append(n.block, e)
}

// errParser stands for a panic of the YAML library, which no input is known to
// cause; a plan from outside must not end the program all the same.
var errParser = errors.New("the YAML parser can't read this file")

func parseTokens(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			file, err = nil, errParser
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// syntaxProblem takes place and message of a parser's error; its excerpt of
// the source stays out, for it may show a secret.
func syntaxProblem(err error) Problem {
	var at yaml.Error
	if !errors.As(err, &at) {
		return syntax(1, 1, err.Error(), "")
	}
	p := syntax(1, 1, at.GetMessage(), "")
	if t := at.GetToken(); t != nil && t.Position != nil {
		p.Position = Position{t.Position.Line, t.Position.Column}
	}
	switch {
	case strings.Contains(p.Message, "mapping value is not allowed"):
		p.Hint = `text that contains ": " needs quotes`
	case strings.Contains(p.Message, "could not find end character"):
		p.Hint = "close the quotes"
	}
	return p
}

// oneDocument returns the mapping that a plan file must be.
func oneDocument(file *ast.File) (ast.Node, []Problem) {
	var bodies []ast.Node
	for _, d := range file.Docs {
		if d != nil && d.Body != nil {
			bodies = append(bodies, d.Body)
		}
	}
	if len(bodies) == 0 {
		return nil, []Problem{syntax(1, 1, "the file is empty", `a plan begins with "sallyport: 1"`)}
	}
	if len(bodies) > 1 {
		at := place(bodies[1])
		return nil, []Problem{syntax(at.Line, at.Column, "a second document begins here", "write one plan a file")}
	}
	if _, _, ok := entries(bodies[0]); !ok {
		at := place(bodies[0])
		return nil, []Problem{syntax(at.Line, at.Column, "the file holds no keys", `a plan begins with "sallyport: 1"`)}
	}
	return bodies[0], nil
}

// entries returns the entries of a mapping in file order.
func entries(n ast.Node) (list []*ast.MappingValueNode, flow, ok bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, m.IsFlowStyle, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, false, true
	}
	return nil, false, false
}

// place is where a node begins.
func place(n ast.Node) Position {
	if list, flow, ok := entries(n); ok && !flow && len(list) > 0 {
		return place(list[0].Key)
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return Position{t.Position.Line, t.Position.Column}
	}
	return Position{1, 1}
}

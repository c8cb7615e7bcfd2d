package draft

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/sallyport/sallyport/plan"
)

// source is the text of a plan with its tree: the tree says what is where, the
// lines are what is kept.
type source struct {
	lines []string // without line ends
	root  *ast.MappingNode
}

func readSource(data []byte) (*source, error) {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	file, err := parser.ParseBytes([]byte(strings.TrimPrefix(text, "\ufeff")), 0)
	if err != nil {
		return nil, err
	}
	s := &source{lines: strings.Split(text, "\n")}
	if len(file.Docs) > 0 {
		s.root = mapping(file.Docs[0].Body)
	}
	return s, nil
}

// mapping is a node as a mapping; nil when it is none. A mapping of one pair
// may be the pair itself.
func mapping(n ast.Node) *ast.MappingNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n
	case *ast.MappingValueNode:
		return &ast.MappingNode{BaseNode: n.BaseNode, Values: []*ast.MappingValueNode{n}}
	}
	return nil
}

// at finds the pair at a path of keys; nil when there is none.
func (s *source) at(path ...string) *ast.MappingValueNode {
	var pair *ast.MappingValueNode
	in := s.root
	for _, key := range path {
		if in == nil {
			return nil
		}
		i := slices.IndexFunc(in.Values, func(v *ast.MappingValueNode) bool { return keyOf(v) == key })
		if i < 0 {
			return nil
		}
		pair = in.Values[i]
		in = mapping(pair.Value)
	}
	return pair
}

func keyOf(v *ast.MappingValueNode) string { return v.Key.GetToken().Value }

func keyLine(v *ast.MappingValueNode) int { return v.Key.GetToken().Position.Line - 1 }

func keyIndent(v *ast.MappingValueNode) int { return v.Key.GetToken().Position.Column - 1 }

// end is the last line of what begins at a line with an indentation: the lines
// below that are indented deeper, or are items of its list.
func (s *source) end(line, indent int) int {
	last := line
	for i := line + 1; i < len(s.lines); i++ {
		text := strings.TrimLeft(s.lines[i], " ")
		in := len(s.lines[i]) - len(text)
		if strings.TrimSpace(text) == "" {
			continue
		}
		if in > indent || in == indent && (text == "-" || strings.HasPrefix(text, "- ")) {
			last = i
			continue
		}
		if strings.HasPrefix(text, "#") {
			continue
		}
		break
	}
	return last
}

// block is the text of a pair, with its indentation taken off.
func (s *source) block(v *ast.MappingValueNode) []string {
	from := keyLine(v)
	return unindent(s.lines[from:s.end(from, keyIndent(v))+1], keyIndent(v))
}

func unindent(lines []string, n int) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l[min(n, len(l)):]
	}
	return out
}

// insertion is text that goes behind a line.
type insertion struct {
	after   int
	indent  int
	lines   []string
	section int // 1: a new section, which comes behind what is added to others
}

// inserter collects insertions into one file.
type inserter struct {
	to, from *source
	list     []insertion
	skipped  []string // lists that are written in one line
	err      error
}

// insert writes the additions into the text of the existing plan.
func (m *merger) insert(existing []byte) ([]byte, error) {
	if len(m.changes.Added) == 0 {
		return existing, nil
	}
	added, err := plan.Marshal(m.add)
	if err != nil {
		return nil, err
	}
	in := &inserter{}
	if in.to, err = readSource(existing); err != nil {
		return nil, err
	}
	if in.from, err = readSource(added); err != nil {
		return nil, err
	}
	if in.to.root == nil {
		return nil, fmt.Errorf("the existing plan is empty")
	}
	for _, name := range slices.Sorted(maps.Keys(m.add.Endpoints)) {
		in.entry("endpoints", name)
	}
	for _, name := range slices.Sorted(maps.Keys(m.add.Mappings)) {
		in.entry("mappings", name)
	}
	for _, name := range slices.Sorted(maps.Keys(m.add.Destinations)) {
		in.entry("destinations", name)
	}
	for _, name := range slices.Sorted(maps.Keys(m.add.Environments)) {
		in.entry("environments", name)
	}
	if len(m.old.Points) > 0 {
		for _, id := range slices.Sorted(maps.Keys(m.add.Points)) {
			in.entry("points", id)
		}
	}
	if m.add.Webhooks != nil && m.old.Webhooks != nil {
		for _, kind := range slices.Sorted(maps.Keys(m.add.Webhooks.Events)) {
			in.entry("webhooks", "events", kind)
		}
		if m.add.Webhooks.Reconcile != nil {
			in.entry("webhooks", "reconcile")
		}
	}
	for _, name := range m.secret {
		in.lines([]string{"environments", name, "secrets"}, []string{"webhook_secret: " + m.fresh.Environments[name].Secrets["webhook_secret"][0]})
	}
	for _, l := range m.lines {
		in.lines(l.in, l.text)
	}
	for _, name := range m.whole {
		in.section(name)
	}
	in.items("open_questions")
	in.items("considered")
	if in.err != nil {
		return nil, in.err
	}
	for _, name := range in.skipped {
		m.changes.Added = slices.DeleteFunc(m.changes.Added, func(path string) bool { return strings.HasPrefix(path, name+" ") })
		m.left(name, "the list is written in one line; write one item a line")
	}
	if len(in.list) == 0 {
		return existing, nil
	}
	return in.apply(existing), nil
}

// entry inserts one entry of a map behind the last one that is there.
func (in *inserter) entry(path ...string) {
	v := in.from.at(path...)
	if v == nil {
		return
	}
	parent := path[:len(path)-1]
	if len(parent) == 1 && in.to.at(parent[0]) == nil {
		in.newSection(parent[0], in.from.block(v))
		return
	}
	in.lines(parent, in.from.block(v))
}

// lines inserts lines at the end of the map at a path.
func (in *inserter) lines(parent, lines []string) {
	pair := in.to.at(parent...)
	if pair == nil {
		in.fail(parent, "it is not there")
		return
	}
	inside := mapping(pair.Value)
	if inside == nil || inside.IsFlowStyle || len(inside.Values) == 0 {
		in.fail(parent, "it is written in one line")
		return
	}
	last := inside.Values[len(inside.Values)-1]
	indent := keyIndent(inside.Values[0])
	in.list = append(in.list, insertion{after: in.to.end(keyLine(last), indent), indent: indent, lines: lines})
}

func (in *inserter) fail(path []string, why string) {
	if in.err == nil {
		in.err = fmt.Errorf("nothing can be added to %s: %s; write it over several lines, one entry each", strings.Join(path, "."), why)
	}
}

// section inserts a whole top-level section at the end of the file.
func (in *inserter) section(name string) {
	if v := in.from.at(name); v != nil && in.to.at(name) == nil {
		in.bottom(in.from.block(v))
	}
}

// newSection begins a section with its first entry; further entries follow it.
func (in *inserter) newSection(name string, entry []string) {
	for i, one := range in.list {
		if one.section == 1 && len(one.lines) > 1 && one.lines[1] == name+":" {
			in.list[i].lines = append(in.list[i].lines, indented(entry, 2)...)
			return
		}
	}
	in.bottom(append([]string{name + ":"}, indented(entry, 2)...))
}

func (in *inserter) bottom(lines []string) {
	last := len(in.to.lines) - 1
	for last > 0 && strings.TrimSpace(in.to.lines[last]) == "" {
		last--
	}
	in.list = append(in.list, insertion{after: last, lines: append([]string{""}, lines...), section: 1})
}

func indented(lines []string, n int) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l
		if l != "" {
			out[i] = strings.Repeat(" ", n) + l
		}
	}
	return out
}

// items appends the items of a list to the one that is there.
func (in *inserter) items(name string) {
	v := in.from.at(name)
	if v == nil {
		return
	}
	own := in.to.at(name)
	if own == nil {
		in.bottom(in.from.block(v))
		return
	}
	list, ok := own.Value.(*ast.SequenceNode)
	if !ok || list.IsFlowStyle || len(list.Values) == 0 {
		in.skipped = append(in.skipped, name)
		return
	}
	indent := list.Start.Position.Column - 1
	lines := unindent(in.from.block(v)[1:], 2)
	in.list = append(in.list, insertion{after: in.to.end(keyLine(own), keyIndent(own)), indent: indent, lines: lines})
}

// apply writes the file with the insertions. Those behind the same line come
// the deepest first.
func (in *inserter) apply(existing []byte) []byte {
	ending := "\n"
	if strings.Contains(string(existing), "\r\n") {
		ending = "\r\n"
	}
	slices.SortStableFunc(in.list, func(a, b insertion) int {
		return cmp.Or(cmp.Compare(a.after, b.after), cmp.Compare(a.section, b.section), cmp.Compare(b.indent, a.indent))
	})
	var out strings.Builder
	rest := string(existing)
	line := 0
	copyTo := func(last int) {
		for ; line <= last; line++ {
			i := strings.IndexByte(rest, '\n')
			if i < 0 {
				out.WriteString(rest)
				if rest != "" {
					out.WriteString(ending)
				}
				rest = ""
				continue
			}
			out.WriteString(rest[:i+1])
			rest = rest[i+1:]
		}
	}
	for _, one := range in.list {
		copyTo(one.after)
		for _, l := range indented(one.lines, one.indent) {
			out.WriteString(l + ending)
		}
	}
	out.WriteString(rest)
	return []byte(out.String())
}

// kept lists the values that both plans have and that differ.
func kept(old, fresh *plan.Plan) ([]Kept, error) {
	mine, err := flatten(old)
	if err != nil {
		return nil, err
	}
	planned, err := flatten(fresh)
	if err != nil {
		return nil, err
	}
	var out []Kept
	for _, path := range slices.Sorted(maps.Keys(planned)) {
		if yours, ok := mine[path]; ok && yours != planned[path] {
			out = append(out, Kept{path, yours, planned[path]})
		}
	}
	return out, nil
}

// flatten gives every value of a plan with its path. Rows are known by the
// provider's field; what is only dated or noted is left out.
func flatten(p *plan.Plan) (map[string]string, error) {
	text, err := plan.Marshal(p)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	delete(tree, "open_questions")
	delete(tree, "considered")
	delete(tree, "points")
	out := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				walk(strings.TrimPrefix(path+"."+key, "."), value)
			}
		case []any:
			for i, value := range v {
				key := fmt.Sprint(i)
				if row, ok := value.(map[string]any); ok && row["external"] != nil {
					key = fmt.Sprint(row["external"])
				} else if !ok {
					out[path] = fmt.Sprint(v)
					return
				}
				walk(path+"."+key, value)
			}
		default:
			out[path] = fmt.Sprint(v)
		}
	}
	walk("", tree)
	delete(out, "decision.review_by")
	delete(out, "decision.why")
	maps.DeleteFunc(out, func(path, _ string) bool {
		return strings.HasPrefix(path, "decision.weighed.") || strings.HasPrefix(path, "rollout.") || strings.HasPrefix(path, "exit.")
	})
	return out, nil
}

package draft

import (
	"fmt"
	"slices"
	"strings"
)

// kindWords say what a kind of operation is, behind "asks for".
var kindWords = map[kind]string{
	kindCreate: "a create", kindRead: "a read", kindList: "a list", kindUpdate: "an update", kindDelete: "a delete", kindAction: "an action",
}

// reason says which words of a clause an operation fits, and where.
func (c *chooser) reason(cl *clause, o *operation) string {
	var parts []string
	where := []struct {
		words []string
		name  string
	}{{o.path, "the path"}, {stems(o.ID), "the id"}, {stems(o.Summary), "the summary"}, {tagStems(o.Tags), "the tags"}, {stems(first(o.Description, textLimit)), "the description"}}
	told := map[string]bool{}
	for _, w := range where {
		var matched []string
		for _, t := range cl.likeliest() {
			if t.verb || told[t.word] || !slices.Contains(w.words, t.stem) {
				continue
			}
			told[t.word] = true
			matched = append(matched, sayMatch(&t, o))
		}
		if len(matched) > 0 && len(parts) < 2 {
			verb := "matches"
			if len(matched) > 1 {
				verb = "match"
			}
			parts = append(parts, fmt.Sprintf("%s %s %s", strings.Join(matched, ", "), verb, w.name))
		}
	}
	if _, words, ok := cl.doing(o.nouns); ok && o.kind == kindCreate {
		parts = append(parts, fmt.Sprintf("“%s” makes one", words[0]))
	} else if asks := verbReason(cl, o); asks != "" {
		parts = append(parts, asks)
	}
	if len(parts) == 0 {
		return "ranks first for “" + cl.text + "”"
	}
	return strings.Join(parts, "; ")
}

// sayMatch is a word of the need, with the document's word where it is another.
func sayMatch(t *term, o *operation) string {
	if t.sense > 0 {
		for _, w := range split(o.Path + " " + o.ID + " " + o.Summary) {
			if stem(w) == t.stem {
				return "“" + t.word + "” (" + w + ")"
			}
		}
	}
	return "“" + t.word + "”"
}

func tagStems(tags []string) (out []string) {
	for _, t := range tags {
		out = append(out, stems(t)...)
	}
	return out
}

// verbReason says which verb of a clause asks for an operation.
func verbReason(cl *clause, o *operation) string {
	for i, v := range cl.verbs {
		deed := cl.deeds[i]
		if o.act != "" && (o.act == v.stem || slices.ContainsFunc(deed.acts, func(a string) bool { return stem(a) == o.act })) {
			return fmt.Sprintf("“%s” asks for %q", v.word, lastSegment(o.Path))
		}
		if slices.Contains(deed.kinds, o.kind) {
			return fmt.Sprintf("“%s” asks for %s", v.word, kindWords[o.kind])
		}
	}
	if cl.asks(kindFollow) && (o.kind == kindRead || o.kind == kindList) {
		return "following a state needs a reader"
	}
	return ""
}

func lastSegment(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// whyNot says why an operation that came close was not taken.
func (c *chooser) whyNot(o *operation) string {
	cl := &c.clauses[c.from[slices.Index(c.index.ops, o)]]
	var unsaid []string
	for _, n := range o.path {
		if _, said := cl.has(n); !said {
			unsaid = append(unsaid, n)
		}
	}
	switch {
	case o.old:
		return "the document advises against it"
	case o.kind == kindDelete && !cl.asks(kindDelete):
		return "it deletes, and nothing in the need asks for that"
	case o.kind == kindAction && !cl.acts[o.act]:
		return fmt.Sprintf("nothing in the need asks for %q", lastSegment(o.Path))
	case len(cl.kinds) > 0 && !cl.asks(o.kind) && (o.kind != kindRead || !cl.asks(kindFollow)):
		return fmt.Sprintf("the need asks for %s here, this is %s", wanted(cl), kindWords[o.kind])
	case c.isVerbOnly(cl, o):
		return fmt.Sprintf("“%s” is what is done here, not the resource", o.noun)
	case len(o.nouns) > 0 && cl.nounMatch(o) < 1:
		return fmt.Sprintf("it is about %s, which the need does not name", strings.ReplaceAll(o.noun, "_", " "))
	case len(unsaid) > 0:
		return "its path is about more than the need names: " + o.group
	}
	for _, p := range c.picks {
		if p.op.group == o.group {
			return "what was picked of " + o.group + " covers the need"
		}
	}
	return "it ranks below what was picked"
}

func (c *chooser) isVerbOnly(cl *clause, o *operation) bool {
	return len(o.nouns) > 0 && !slices.ContainsFunc(o.nouns, func(n string) bool {
		t, ok := cl.has(n)
		return !ok || !t.verb
	})
}

func wanted(cl *clause) string {
	var words []string
	for _, k := range cl.kinds {
		if w := kindWords[k]; w != "" {
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		return "following its state"
	}
	return strings.Join(words[:min(2, len(words))], " or ")
}

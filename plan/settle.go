package plan

import (
	"regexp"
	"slices"
	"strings"
)

// OnConflict is what a 409 or 412 leads to (R4.5): the state is read, the
// request is merged with it, and sent once more.
type OnConflict struct {
	// Endpoint that reads the current state; its effect is read.
	Read string `yaml:"read" json:"read" jsonschema:"required"`
	// Whose values stand when both changed: ours sends the request's, theirs
	// leaves the field out of it, fail hands the conflict to the caller.
	Keep string `yaml:"keep" json:"keep" jsonschema:"required,enum=ours,enum=theirs,enum=fail"`
	// Rules of their own for fields of the request body, by dotted path
	// (address.city, lines[*].price): ours, theirs or fail. One for a field
	// holds for all below it; the longest path decides.
	Fields map[string]string `yaml:"fields,omitempty" json:"fields,omitempty" keys:"^([^.\\[\\]\\\\]|\\\\.)+(\\[([0-9]+|\\*)\\])*(\\.([^.\\[\\]\\\\]|\\\\.)+(\\[([0-9]+|\\*)\\])*)*$"`
	// Where in the reader's answer the object stands that the request body
	// describes, as dotted path; the whole answer when empty.
	State string `yaml:"state,omitempty" json:"state,omitempty"`
	// What the provider compares to notice that a writer was late.
	Version *FreshVersion `yaml:"version,omitempty" json:"version,omitempty"`
}

// words says whose values stand: "ours, but theirs for address".
func (o *OnConflict) words() string {
	s := o.Keep
	for i, field := range sorted(o.Fields) {
		if i == 0 {
			s += ", but "
		} else {
			s += ", "
		}
		s += o.Fields[field] + " for " + field
	}
	return s
}

// FreshVersion is taken out of the fresh state and put into the request.
type FreshVersion struct {
	// Where it stands in the reader's answer: header.ETag or body.PATH.
	From string `yaml:"from" json:"from" jsonschema:"required,pattern=^(header[.][A-Za-z0-9!#$%&'*+.^_|~-]+|body[.].+)$" want:"header.NAME or body.PATH, such as header.ETag"`
	// Where it goes in the request, the same way: If-Match for a header and the
	// same path for a field when empty.
	To string `yaml:"to,omitempty" json:"to,omitempty" jsonschema:"pattern=^(header[.][A-Za-z0-9!#$%&'*+.^_|~-]+|body[.].+)$" want:"header.NAME or body.PATH, such as header.If-Match"`
}

// Target is where the version goes: To, or what To means when it is empty.
func (v FreshVersion) Target() string {
	switch {
	case v.To != "":
		return v.To
	case strings.HasPrefix(v.From, "header."):
		return "header.If-Match"
	}
	return v.From
}

// OnUnknown finds out what became of a call that may have reached the provider
// and got no answer (R4.7). A source says where a value of the call is taken
// from: body.PATH in the body as it was sent, path.NAME, query.NAME, call.id
// (our id of the call) or call.key (its idempotency key).
type OnUnknown struct {
	// Endpoint that lists or reads what the call makes; its effect is read.
	Find string `yaml:"find" json:"find" jsonschema:"required"`
	// Path variables of that endpoint: name to source. A variable that both
	// endpoints have is taken from the call.
	Path map[string]string `yaml:"path,omitempty" json:"path,omitempty"`
	// Its query: parameter to source.
	Query map[string]string `yaml:"query,omitempty" json:"query,omitempty"`
	// Where in its answer the list stands, as dotted path; empty when the
	// answer is the list, or the object itself.
	Items string `yaml:"items,omitempty" json:"items,omitempty"`
	// Fields by which the made thing is recognised: dotted path in an item to
	// source. All of them must fit.
	Match map[string]string `yaml:"match" json:"match" jsonschema:"required,minProperties=1"`
	// Field of an item with the time it was made, so that an older one is not
	// taken for it.
	Created string `yaml:"created,omitempty" json:"created,omitempty"`
	// Field of the answer that says that the list goes on, such as has_more or
	// the next cursor. Without it a list that has items is never taken for
	// whole.
	More string `yaml:"more,omitempty" json:"more,omitempty"`
	// How long the provider may take to list what it has made. A search that
	// finds nothing proves nothing before that.
	After Duration `yaml:"after,omitempty" json:"after,omitempty" jsonschema:"default=1m"`
}

var callSource = regexp.MustCompile(`^(body\..+|path\.[^.]+|query\..+|call\.(id|key))$`)

func (c *checker) onConflict(path string, e *Endpoint) {
	o := e.OnConflict
	if o == nil {
		return
	}
	c.onlyReads(path+".read", o.Read)
	for _, field := range sorted(o.Fields) {
		if keep := o.Fields[field]; !slices.Contains([]string{"ours", "theirs", "fail"}, keep) {
			c.complain(path+".fields."+field, RuleValue, quote(keep)+" is no rule", "write ours, theirs or fail")
		}
	}
	if e.Effect == EffectRead {
		c.complain(path, RuleConflict, "a read changes nothing that could be in conflict", "leave it out, or set the effect the call has")
	}
	if v := o.Version; v != nil && strings.HasPrefix(v.To, "body.") && (e.Method() == "GET" || e.Method() == "HEAD" || e.Method() == "DELETE") {
		c.complain(path+".version.to", RuleConflict, "a "+e.Method()+" has no body", "write header.If-Match, or the header the provider names")
	}
}

func (c *checker) onUnknown(path string, e *Endpoint) {
	o := e.OnUnknown
	if o == nil {
		return
	}
	if e.Effect == EffectRead {
		c.complain(path, RuleConflict, "a read leaves nothing behind that could be looked for", "leave it out, or set the effect the call has")
	}
	c.onlyReads(path+".find", o.Find)
	for _, part := range []struct {
		key  string
		from map[string]string
	}{{".path", o.Path}, {".query", o.Query}, {".match", o.Match}} {
		for _, name := range sorted(part.from) {
			c.source(path+part.key+"."+name, part.from[name], e)
		}
	}
	find := c.plan.Endpoints[o.Find]
	if find == nil {
		return
	}
	for _, name := range find.PathVariables() {
		if _, told := o.Path[name]; !told && !slices.Contains(e.PathVariables(), name) {
			c.complain(path+".find", RuleRequired, o.Find+" needs the path variable "+quote(name), "say under path where it is taken from, such as "+name+": body."+name)
		}
	}
}

// source checks where a value of the call is taken from.
func (c *checker) source(path, from string, e *Endpoint) {
	name, inPath := strings.CutPrefix(from, "path.")
	switch {
	case !callSource.MatchString(from):
		c.complain(path, RuleValue, quote(from)+" is no place in a call", "write body.PATH, path.NAME, query.NAME, call.id or call.key")
	case from == "call.key" && e.Idempotency == nil:
		c.complain(path, RuleReference, "the endpoint sends no idempotency key", "declare idempotency, or match by a field of the body")
	case inPath && !slices.Contains(e.PathVariables(), name):
		c.complain(path, RuleReference, "the endpoint has no path variable "+quote(name), didYouMean(name, e.PathVariables()))
	}
}

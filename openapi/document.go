package openapi

// Document is what Sallyport takes from a provider's API document, whatever
// its version (Swagger 2.0, OpenAPI 3.0, 3.1).
type Document struct {
	Title      string   // info.title
	Version    string   // info.version
	Format     string   // "swagger 2.0", "openapi 3.0.0"
	SHA256     string   // of the unpacked bytes, hex; over all files where there are several
	Files      []string // what was read besides the file itself, sorted; nil: it stands alone
	Servers    []string // absolute URLs
	Auth       []string // names of the security schemes, with their kind: "basicAuth (http basic)"
	Security   []SecurityScheme
	Operations []Operation // sorted by path, then method
	EventTypes []string    // webhook event types the document names, sorted; empty when it names none
	Defects    []Defect    // what is wrong with it, in document order

	// ResponseHeaders are the headers that answers are documented to carry, with
	// the number of operations that do.
	ResponseHeaders map[string]int

	components *components
}

// Operation is one method on one path.
type Operation struct {
	ID          string   // operationId; "get /path" when the document has none
	Method      string   // upper case
	Path        string   // as in the document, variables in braces
	Summary     string   // plain text
	Description string   // plain text, mark-up removed
	Tags        []string // in order
	Deprecated  bool
	Server      string // absolute URL; empty: the document's
	Parameters  []Parameter
	Request     *Body            // nil: no body
	Responses   map[string]*Body // by status: "200", "default"; a nil Body is an answer without one
}

// Call is "METHOD /path", the form a plan uses.
func (o Operation) Call() string { return o.Method + " " + o.Path }

// Parameter of an operation.
type Parameter struct {
	Name     string
	In       string // path, query, header
	Required bool
	Schema   *Schema
}

// Body is one media type of a request or a response.
type Body struct {
	ContentType string // application/json where offered, else the first
	Required    bool
	Schema      *Schema // nil when the document says nothing
}

// Schema is one JSON schema, references resolved on demand.
// Ref chains and cycles are safe: a property that refers to a component is a
// Schema with Ref set, and Document.Resolve gives the component itself.
type Schema struct {
	Ref                  string     // component name, or a pointer "#/…", when this only refers to another schema
	Type                 string     // string, integer, number, boolean, object, array; empty when not said
	Format               string     // unix-time, currency, date-time, uuid, decimal, …
	Nullable             bool       // 3.0 nullable, 3.1 type list with null
	ReadOnly             bool       // only in answers
	Description          string     // plain text
	Enum                 []string   // string enums
	Properties           []Property // in document order
	Required             []string
	Items                *Schema   // of an array
	AnyOf                []*Schema // anyOf and oneOf
	AllOf                []*Schema
	AdditionalProperties *Schema // of a map
	MaxLength            int
	Default, Example     any
	Pattern              string
}

// Property of an object schema.
type Property struct {
	Name   string
	Schema *Schema
}

// Property returns the property called name, or nil.
func (s *Schema) Property(name string) *Schema {
	for _, p := range s.Properties {
		if p.Name == name {
			return p.Schema
		}
	}
	return nil
}

// Defect is something wrong with the document that did not stop the import.
type Defect struct {
	Where   string `json:"where"` // JSON pointer, path and method, line, or file
	Rule    string `json:"rule"`  // stable slug: duplicate-operation-id, unresolved-ref, circular-ref, …
	Message string `json:"message"`
}

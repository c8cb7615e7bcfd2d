// Package needs measures how well operations are chosen: needs with the
// operations that a person would name for them, the parts of real documents
// that choosing reads, and the figures that come of both.
package needs

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
)

// Extract is what choosing reads of a provider's document. Schemas of requests
// are flat lists of their properties; answers are left out.
type Extract struct {
	Title, Version string
	SHA256         string // of the whole document, unpacked
	EventTypes     []string
	Operations     []Operation
}

// Operation of an Extract.
type Operation struct {
	ID, Method, Path     string
	Summary, Description string   `json:",omitempty"`
	Tags                 []string `json:",omitempty"`
	Deprecated           bool     `json:",omitempty"`
	Parameters           []Name   `json:",omitempty"`
	Body                 []Name   `json:",omitempty"` // properties of the request
	HasBody              bool     `json:",omitempty"` // a request has a body, if only of unknown form
	Request, Response    string   `json:",omitempty"` // names of the schemas
}

// Name of a parameter or a property.
type Name struct {
	Name     string
	In       string `json:",omitempty"`
	Required bool   `json:",omitempty"`
}

// maxText is how much of a description is kept: more than choosing reads.
const maxText = 700

// Reduce takes out of a document what choosing reads.
func Reduce(d *openapi.Document) *Extract {
	x := &Extract{Title: d.Title, Version: d.Version, SHA256: d.SHA256, EventTypes: d.EventTypes}
	for _, op := range d.Operations {
		o := Operation{ID: op.ID, Method: op.Method, Path: op.Path, Summary: op.Summary, Description: cut(op.Description), Tags: op.Tags, Deprecated: op.Deprecated}
		for _, p := range op.Parameters {
			o.Parameters = append(o.Parameters, Name{p.Name, p.In, p.Required})
		}
		o.HasBody = op.Request != nil
		if op.Request != nil && op.Request.Schema != nil {
			o.Request = op.Request.Schema.Ref
			schema := d.Resolve(op.Request.Schema)
			for _, p := range properties(d, schema, 0) {
				o.Body = append(o.Body, Name{Name: p.Name, Required: slices.Contains(schema.Required, p.Name)})
			}
		}
		for _, status := range []string{"200", "201", "202", "2XX"} {
			if body := op.Responses[status]; body != nil && body.Schema != nil {
				o.Response = body.Schema.Ref
				break
			}
		}
		x.Operations = append(x.Operations, o)
	}
	return x
}

// properties of a schema with those of its allOf members, in their order.
func properties(d *openapi.Document, s *openapi.Schema, depth int) []openapi.Property {
	const maxDepth = 8
	s = d.Resolve(s)
	if s == nil || depth > maxDepth {
		return nil
	}
	list := slices.Clone(s.Properties)
	for _, part := range s.AllOf {
		for _, p := range properties(d, part, depth+1) {
			if !slices.ContainsFunc(list, func(o openapi.Property) bool { return o.Name == p.Name }) {
				list = append(list, p)
			}
		}
	}
	return list
}

func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "")
}

// Document makes a document again that gives the same choice.
func (x *Extract) Document() *openapi.Document {
	d := &openapi.Document{Title: x.Title, Version: x.Version, Format: "extract", SHA256: x.SHA256, EventTypes: x.EventTypes}
	for _, o := range x.Operations {
		op := openapi.Operation{ID: o.ID, Method: o.Method, Path: o.Path, Summary: o.Summary, Description: o.Description, Tags: o.Tags, Deprecated: o.Deprecated}
		for _, p := range o.Parameters {
			op.Parameters = append(op.Parameters, openapi.Parameter{Name: p.Name, In: p.In, Required: p.Required, Schema: &openapi.Schema{}})
		}
		if o.HasBody {
			schema := &openapi.Schema{Type: "object"}
			for _, p := range o.Body {
				schema.Properties = append(schema.Properties, openapi.Property{Name: p.Name, Schema: &openapi.Schema{}})
				if p.Required {
					schema.Required = append(schema.Required, p.Name)
				}
			}
			op.Request = &openapi.Body{ContentType: "application/json", Schema: schema}
		}
		if o.Response != "" {
			op.Responses = map[string]*openapi.Body{"200": {ContentType: "application/json", Schema: &openapi.Schema{Ref: o.Response}}}
		}
		d.Operations = append(d.Operations, op)
	}
	return d
}

// Pack writes an extract as gzipped JSON, the same bytes every time.
func (x *Extract) Pack(w io.Writer) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(z).Encode(x); err != nil {
		return err
	}
	return z.Close()
}

// Unpack reads what Pack wrote.
func Unpack(data []byte) (*Extract, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("extract of a document: %w", err)
	}
	x := &Extract{}
	if err := json.NewDecoder(z).Decode(x); err != nil {
		return nil, fmt.Errorf("extract of a document: %w", err)
	}
	return x, nil
}

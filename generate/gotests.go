package generate

import (
	"fmt"
	"strings"
)

// tests writes tests of the adapter: the webhooks by themselves, the endpoints
// against a gateway when one is named.
func (g *golang) tests(c *code) {
	var body code
	if len(g.endpoints) > 0 {
		g.endpointTests(&body)
	}
	if len(g.events) > 0 {
		g.webhookTests(&body)
	}
	text := body.String()
	c.imports(text, map[string]string{
		"context.": "context", "json.": "encoding/json", "errors.": "errors", "http.": "net/http", "httptest.": "net/http/httptest",
		"os.": "os", "strings.": "strings", "testing.": "testing", "time.": "time", "hmac.": "crypto/hmac", "sha256.": "crypto/sha256",
		"base64.": "encoding/base64", "strconv.": "strconv",
	})
	c.WriteString(text)
}

// endpointTests write one case an endpoint. What the provider says to sample
// values is its own business; what the gateway and this adapter say must never
// be that they do not understand each other.
func (g *golang) endpointTests(c *code) {
	c.comment("", "TestEndpoints calls every endpoint through the gateway at SALLYPORT_URL with the key SALLYPORT_KEY, "+
		"whose environment must be the sandbox: it creates things.")
	c.line("func TestEndpoints(t *testing.T) {")
	c.line(`address, key := os.Getenv("SALLYPORT_URL"), os.Getenv("SALLYPORT_KEY")
	if address == "" || key == "" {
		t.Skip("set SALLYPORT_URL and SALLYPORT_KEY to a gateway before the sandbox")
	}
	client, err := New(Config{URL: address, Key: key, Tenant: "adapter-test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, call := range map[string]func() error{`)
	methods := unique{"For": true}
	for _, e := range g.endpoints {
		args := []string{"ctx"}
		for range e.variables {
			args = append(args, `"sample"`)
		}
		if e.body {
			body := "nil"
			if e.plan.Send != "" {
				body = g.sample(e.plan.Send)
			}
			args = append(args, body)
		}
		c.line("%q: func() error { _, err := client.%s(%s); return err },", e.key, methods.name(pascal(e.key)), strings.Join(args, ", "))
	}
	c.WriteString(`} {
		t.Run(name, func(t *testing.T) {
			err := call()
			var e *Error
			switch {
			case err == nil:
			case !errors.As(err, &e):
				t.Error(err)
			case e.Call == "", e.Status == http.StatusUnauthorized, e.Code == "unknown_endpoint", e.Code == "path_variable", e.Code == "invalid_body", e.Code == "answer_not_mapped":
				t.Errorf("gateway and adapter do not fit: %v", e)
			}
		})
	}
	}
`)
}

// sample is a value of a sent type with its first fields set.
func (g *golang) sample(name string) string {
	for _, t := range g.tables {
		if t.name != name || t.in {
			continue
		}
		var set []string
		taken := unique{}
		for _, f := range t.fields {
			id := taken.name(pascal(f.name))
			if value := g.sampleValue(f); value != "" {
				set = append(set, id+": "+value)
			}
		}
		return g.types[typeKey(name, false)] + "{" + strings.Join(set, ", ") + "}"
	}
	return "nil"
}

func (g *golang) sampleValue(f *field) string {
	if f.list || f.table != "" || f.as == "" {
		return ""
	}
	if f.enum != "" {
		for _, e := range g.enums {
			if e.key() == f.enum && len(e.values) > 0 {
				return fmt.Sprintf("Ptr(%s(%q))", g.enumTypes[f.enum], e.values[0])
			}
		}
		return ""
	}
	switch f.as {
	case "string":
		if strings.Contains(strings.ToLower(f.name), "email") {
			return `Ptr("sample@example.com")`
		}
		return ""
	case "uuid":
		return `Ptr("0d6f6a4e-6f0c-4d3a-9a57-0f6d1c6a7b21")`
	}
	return ""
}

// sampleData is a mapped object with a value for every scalar field.
func (g *golang) sampleData(name string) string {
	if name == "" {
		return `{"any": ["thing"]}`
	}
	for _, t := range g.tables {
		if t.name == name && t.in {
			return "{" + strings.Join(g.sampleFields(t.fields), ", ") + "}"
		}
	}
	return "{}"
}

func (g *golang) sampleFields(fields []*field) (list []string) {
	for _, f := range fields {
		value := map[string]string{"integer": "7", "decimal": `"19.90"`, "boolean": "true", "datetime": `"2026-11-24T12:00:00Z"`, "json": `{"a": 1}`, "string": `"text"`, "uuid": `"0d6f6a4e-6f0c-4d3a-9a57-0f6d1c6a7b21"`}[f.as]
		switch {
		case f.as == "":
			value = "{" + strings.Join(g.sampleFields(f.fields), ", ") + "}"
		case f.table != "":
			value = "{}"
		case f.enum != "":
			for _, e := range g.enums {
				if e.key() == f.enum && len(e.values) > 0 {
					value = fmt.Sprintf("%q", e.values[0])
				}
			}
		}
		if value == "" {
			continue
		}
		if f.list {
			value = "[" + value + "]"
		}
		list = append(list, fmt.Sprintf("%q: %s", f.name, value))
	}
	return list
}

func (g *golang) webhookTests(c *code) {
	c.line("// TestWebhooks delivers one event of each type, signed, and what must not pass.")
	c.line("func TestWebhooks(t *testing.T) {")
	c.line("var got []string")
	c.line("door, err := NewWebhooks(Handlers{")
	names := unique{"Other": true}
	var samples code
	for _, e := range g.events {
		name, data := names.name(pascal(e.kind)), "json.RawMessage"
		if e.table != "" {
			data = g.types[typeKey(e.table, true)]
		}
		c.line("%s: func(_ context.Context, e Event[%s]) error { got = append(got, e.Type); return nil },", name, data)
		samples.line("%q: %s,", g.plan.Service+"."+e.kind, "`"+strings.ReplaceAll(g.sampleData(e.table), "`", "'")+"`")
	}
	c.line(`}, "a secret for the test", "the one before")
	if err != nil {
		t.Fatal(err)
	}
	post := func(body, secret string, at time.Time) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		seconds := strconv.FormatInt(at.Unix(), 10)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("evt_1." + seconds + "." + body))
		r.Header.Set("Webhook-Id", "evt_1")
		r.Header.Set("Webhook-Timestamp", seconds)
		r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		return w.Code
	}
	now := time.Now()
	for kind, data := range map[string]string{
		%s
	} {
		body := `+"`"+`{"specversion":"1.0","id":"evt_1","type":"`+"` + kind + `"+`","time":"2026-11-24T12:00:00Z","data":`+"` + data + `}`"+`
		if code := post(body, "a secret for the test", now); code != http.StatusNoContent || got[len(got)-1] != kind {
			t.Errorf("%%s: got %%d", kind, code)
		}
		if code := post(body, "the one before", now); code != http.StatusNoContent {
			t.Errorf("%%s: the second secret: got %%d", kind, code)
		}
		seen := len(got)
		for why, code := range map[string]int{
			"a wrong secret": post(body, "another", now), "an old one": post(body, "a secret for the test", now.Add(-time.Hour)),
			"none": post(body, "", now),
		} {
			if code != http.StatusUnauthorized || len(got) != seen {
				t.Errorf("%%s: %%s: got %%d", kind, why, code)
			}
		}
	}
	if code := post(`+"`"+`{"id":"evt_1","type":"another.kind","data":{}}`+"`"+`, "a secret for the test", now); code != http.StatusNotImplemented {
		t.Errorf("an event without a handler: got %%d", code)
	}
	}`, samples.String())
}

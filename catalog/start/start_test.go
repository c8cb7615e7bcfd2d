package start_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/catalog/start"
)

func from(t *testing.T, id, name string) *start.Begun {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	b, err := start.From(id, name, data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// R1.1: what the document says becomes a profile without fault, and what it does
// not say is not made up.
func TestFrom(t *testing.T) {
	t.Parallel()
	b := from(t, "", "acme.yaml")
	p := b.Profile
	if p.ID != "acme-payments" || p.API.BaseURL != "https://{region}.acme.example/v2" || p.API.OtherURLs["server_2"] != "https://sandbox.acme.example/v2" {
		t.Errorf("%s at %s, %v", p.ID, p.API.BaseURL, p.API.OtherURLs)
	}
	if v := p.API.Variables["region"]; v.Example != "eu" || len(v.Values) != 2 || v.Text != "where the account lives" {
		t.Errorf("region: %+v", v)
	}
	var kinds []string
	for _, a := range p.Auth {
		kinds = append(kinds, a.Kind+" "+a.Name)
	}
	if got := strings.Join(kinds, ", "); got != "api_key Authorization, api_key X-Acme-Key, oauth2 " {
		t.Errorf("credentials: %s", got)
	}
	if p.Pagination.Style != "cursor" || p.Pagination.Param != "cursor" || p.Pagination.Confidence != catalog.Recalled {
		t.Errorf("pagination: %+v", p.Pagination)
	}
	if p.API.Confidence != catalog.Documented || !strings.HasPrefix(p.API.Source[0], "acme.yaml@") {
		t.Errorf("provenance: %+v", p.API.Provenance)
	}
	if p.Webhooks != nil || len(p.Limits.List) > 0 || p.Idempotency.Header != "" || p.Limits.Confidence != "" {
		t.Error("something was made up")
	}
	open := strings.Join(b.Open, "\n")
	for _, want := range []string{"http://plain.acme.example", "cookie", "limits:", "webhooks:", "pagination: cursor", "of OAuth"} {
		if !strings.Contains(open, want) {
			t.Errorf("nothing is open about %q:\n%s", want, open)
		}
	}
}

func TestFromSwagger(t *testing.T) {
	t.Parallel()
	p := from(t, "", "old.json").Profile
	if p.ID != "old" || p.API.BaseURL != "https://api.old.example/api" || len(p.Auth) != 2 || p.Auth[0].Kind != "basic" ||
		p.Auth[1].OAuth.TokenURL != "https://api.old.example/token" || p.Pagination.Style != "offset" {
		t.Errorf("%+v", p)
	}
}

// What is begun can be written, read again and judged without a finding.
func TestBegunIsWithoutFault(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"acme.yaml", "old.json"} {
		p := from(t, "mine", name).Profile
		text, err := catalog.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := catalog.Check("mine.yaml", text)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if again.API.BaseURL != p.API.BaseURL || !reflect.DeepEqual(again.Auth, p.Auth) {
			t.Errorf("%s: written and read it differs", name)
		}
		if strings.Contains(string(text), "idempotency:") || strings.Contains(string(text), "errors:") {
			t.Errorf("%s: empty sections are written:\n%s", name, text)
		}
	}
}

func TestFromRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":         "",
		"hello: 1": "",
		`{"openapi":"3.0.0","info":{"title":"The API","version":"1"},"paths":{}}`: "give one with --id",
	} {
		if _, err := start.From("", "x.json", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzFrom(f *testing.F) {
	for _, name := range []string{"acme.yaml", "old.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := start.From("mine", "a.json", data)
		if err != nil {
			return
		}
		open := strings.Join(b.Open, "\n")
		for _, finding := range catalog.Lint(b.Profile) {
			if !strings.Contains(open, finding.String()) {
				t.Errorf("a fault that nobody is told of: %v", finding)
			}
		}
	})
}

func ExampleFrom() {
	data, err := os.ReadFile("testdata/old.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	begun, err := start.From("", "old.json", data)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(begun.Profile.ID, begun.Profile.API.BaseURL, len(begun.Open) > 0)
	// Output:
	// old https://api.old.example/api true
}

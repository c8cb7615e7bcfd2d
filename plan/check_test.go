package plan_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/plan"
)

// Rows that are allowed although they look odd, and rows that aren't.
func TestMappingRowForms(t *testing.T) {
	t.Parallel()
	const head = `sallyport: 1
service: s
uses: s
need: n
environments: {production: {}}
auth: {use: api_key}
endpoints: {}
mappings:
  other:
    - {external: a, internal: a, as: string}
  table:
    - `
	for row, want := range map[string]string{
		`{external: fields.Full Name, internal: name, as: string}`:                                                              "",
		`{external: 'a\.b.c', internal: abc, as: string}`:                                                                       "",
		`{external: 'a\[0\]', internal: a, as: string}`:                                                                         "",
		`{external: x, internal: x, as: decimal, transform: "money(currency, ISK=2, UGX=2)"}`:                                   "",
		`{external: x, type: number, internal: x, as: decimal, transform: "money(a.currency)"}`:                                 "",
		`{external: "x[*]", type: object, internal: "y[*]", as: other, class: pii}`:                                             "",
		`{external: x, internal: x, as: enum, direction: in, values: {a: A, b: A}}`:                                             "",
		`{external: x, internal: x, as: table}`:                                                                                 "", // a tree; the data ends it
		`{external: x, internal: x, as: enum, values: {"null": NONE, "true": YES, 1: ONE}, unknown: "null", missing: "value:"}`: "",
		`{external: .x, internal: x, as: string}`:                                                                               ".external: ",
		`{external: x., internal: x, as: string}`:                                                                               ".external: ",
		`{external: " x", internal: x, as: string}`:                                                                             ".external: ",
		`{external: "x[*].y", internal: "x[*]", as: string}`:                                                                    ".external: ",
		`{external: "x[0]", internal: x, as: string}`:                                                                           ".external: ",
		`{external: x, internal: "[*]", as: string}`:                                                                            ".internal: ",
		`{external: x, internal: x, as: decimal, transform: money}`:                                                             ".transform: ",
		`{external: x, internal: x, as: decimal, transform: "money(currency, isk=2)"}`:                                          ".transform: ",
		`{external: x, internal: x, as: decimal, transform: upper(x)}`:                                                          ".transform: ",
		`{external: x, internal: x, as: other, transform: money(currency)}`:                                                     "is not converted itself",
		`{external: x, internal: x, as: enum, values: {a: yes, b: yes}}`:                                                        "has no way back",
		`{external: x, internal: x, as: enum, values: {a: true}}`:                                                               "want text, this is true or false; put it in quotes",
		`{external: x, internal: x, as: string, null: null}`:                                                                    `write "null" in quotes`,
		`{external: x, internal: x, as: string, missing: nothing}`:                                                              ".missing: ",
		`x`: "want keys and values, this is text",
	} {
		_, err := plan.Parse("x.yaml", []byte(head+row+"\n"), nil)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s\n%v", row, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s\ngot %v, want %q", row, err, want)
		}
	}
}

// R2.3: which credentials one app may have for everybody, and whose they are when
// the plan does not say.
func TestWhoseCredential(t *testing.T) {
	t.Parallel()
	const head = "sallyport: 1\nservice: s\nuses: s\nneed: n\nenvironments: {production: {}}\nendpoints: {}\n"
	for auth, want := range map[string]struct{ refused, ofTenants, granted bool }{
		"{use: api_key}":                           {},
		"{use: api_key, whose: tenant}":            {ofTenants: true},
		"{use: oauth2}":                            {ofTenants: true},
		"{use: oauth2, whose: app}":                {refused: true},
		"{use: client_credentials}":                {ofTenants: true},
		"{use: client_credentials, whose: app}":    {granted: true},
		"{use: password, whose: app}":              {granted: true},
		"{use: jwt_bearer, whose: app}":            {granted: true},
		"{use: jwt, whose: app}":                   {granted: true},
		"{use: jwt, whose: tenant}":                {ofTenants: true},
		"{use: basic, whose: app}":                 {},
		"{use: client_credentials, whose: nobody}": {refused: true},
	} {
		p, err := plan.Parse("x.yaml", []byte(head+"auth: "+auth+"\n"), nil)
		if (err != nil) != want.refused {
			t.Errorf("%s: %v", auth, err)
		}
		if err == nil && (p.Auth.OfTenants() != want.ofTenants || p.Auth.Granted() != want.granted) {
			t.Errorf("%s: of tenants %v, granted %v", auth, p.Auth.OfTenants(), p.Auth.Granted())
		}
	}
}

// R5.11: where a condition of a route may look, and what an event type may be
// called.
func TestRouteForms(t *testing.T) {
	t.Parallel()
	const head = `sallyport: 1
service: s
uses: s
need: n
environments: {production: {}}
auth: {use: api_key}
endpoints: {}
destinations: {app: {url: "https://app.example/", secret: "env:S"}}
webhooks: {events: {`
	for event, want := range map[string]string{
		`Merge Request Hook: {to: app}`:                              "",
		`a: {routes: [{to: app, when: {"json:a.b": x}}]}`:            "",
		`a: {routes: [{to: app, when: {"header:X-Topic": [x, y]}}]}`: "",
		`a: {routes: [{to: app, when: {tenant: "*", source: "-"}}]}`: "",
		`a: {routes: [{to: app, when: {"query:kind": x}}]}`:          "the address that an event came by is not kept",
		`a: {routes: [{to: app, when: {"cookie:kind": x}}]}`:         "webhooks.events.a.routes[0].when.cookie:kind",
		`a: {routes: [{to: nobody, when: {tenant: x}}]}`:             "webhooks.events.a.routes[0].to",
		`" a": {to: app}`: "can't be a name here",
	} {
		_, err := plan.Parse("x.yaml", []byte(head+event+"}}\n"), nil)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s\n%v", event, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s\ngot %v, want %q", event, err, want)
		}
	}
}

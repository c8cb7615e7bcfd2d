package vault_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/vault"
)

func lookup(pairs map[string]string) vault.Environment {
	return func(name string) (string, bool) { v, ok := pairs[name]; return v, ok }
}

func stripe() *plan.Plan {
	return &plan.Plan{
		Service: "stripe",
		Auth:    plan.Auth{Use: "api_key"},
		Environments: map[string]plan.Environment{
			"development": {Secrets: map[string]catalog.OneOrMore{
				"api_key":        {"env:STRIPE_API_KEY"},
				"webhook_secret": {"env:WEBHOOK_NEW", "env:WEBHOOK_OLD"},
			}},
			"production": {Secrets: map[string]catalog.OneOrMore{
				"api_key":        {"env:STRIPE_API_KEY"},
				"webhook_secret": {"env:WEBHOOK_NEW"},
			}},
			"bare": {},
		},
		Webhooks:     &plan.Webhooks{Events: map[string]plan.EventHandling{"invoice.paid": {To: catalog.OneOrMore{"app"}}}},
		Destinations: map[string]plan.Destination{"app": {URL: "http://127.0.0.1:1", Secret: catalog.OneOrMore{"env:APP_SECRET"}}},
		Provider: &catalog.Profile{Auth: []catalog.Auth{{
			Kind: "api_key", LivePrefix: []string{"sk_live_"}, TestPrefix: []string{"sk_test_"},
		}}},
	}
}

var complete = map[string]string{
	"STRIPE_API_KEY": "sk_test_canary1", "WEBHOOK_NEW": "whsec_canary2", "WEBHOOK_OLD": "whsec_canary3", "APP_SECRET": "whsec_canary4",
}

// R2.8, R2.9: references resolve, several values are valid at once.
func TestOpen(t *testing.T) {
	t.Parallel()
	s, err := vault.Open(stripe(), "development", lookup(complete))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.First(vault.APIKey).Reveal(); got != "sk_test_canary1" {
		t.Errorf("api key = %q", got)
	}
	if got := s.All(vault.WebhookSecret); len(got) != 2 || got[0].Reveal() != "whsec_canary2" {
		t.Errorf("webhook secrets = %d, want both, newest first", len(got))
	}
	if got := s.Destination("app")[0].Reveal(); got != "whsec_canary4" {
		t.Errorf("destination secret = %q", got)
	}
	if len(s.Destination("nobody")) != 0 {
		t.Error("an unknown destination has a secret")
	}
	if shown := fmt.Sprintf("%v %+v %#v", s.All(vault.WebhookSecret), s.First(vault.APIKey), s.First(vault.APIKey)); strings.Contains(shown, "canary") {
		t.Errorf("printing shows a secret: %s", shown)
	}
}

// R2.1, R2.11: every problem is listed at once, none shows a value.
func TestOpenListsEveryProblem(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, environment string
		env               map[string]string
		want              []string
	}{
		{"nothing set", "development", nil, []string{"STRIPE_API_KEY is not set", "WEBHOOK_NEW is not set", "WEBHOOK_OLD is not set", "APP_SECRET is not set"}},
		{"empty", "production", map[string]string{"STRIPE_API_KEY": "", "WEBHOOK_NEW": "x", "APP_SECRET": "y"}, []string{"STRIPE_API_KEY is empty"}},
		{"live key in development", "development", with(complete, "STRIPE_API_KEY", "sk_live_canary"), []string{"holds a live key (sk_live_…)"}},
		{"test key in production", "production", complete, []string{"holds a test key (sk_test_…)"}},
		{"not named", "bare", complete, []string{"secrets.api_key is missing", "secrets.webhook_secret is missing"}},
		{"no such environment", "staging", complete, []string{`no environment "staging"`, "bare, development, production"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := vault.Open(stripe(), tt.environment, lookup(tt.env))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("error shows a secret: %v", err)
			}
		})
	}
}

func with(m map[string]string, key, value string) map[string]string {
	out := map[string]string{key: value}
	for k, v := range m {
		if k != key {
			out[k] = v
		}
	}
	return out
}

// R2.8: a rotated file is picked up by Reload; a broken one changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("sk_test_one\n")
	p := stripe()
	p.Environments["development"].Secrets["api_key"] = catalog.OneOrMore{"file:" + path}
	s, err := vault.Open(p, "development", lookup(complete))
	if err != nil {
		t.Fatal(err)
	}
	write("sk_test_two\r\n")
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := s.First(vault.APIKey).Reveal(); got != "sk_test_two" {
		t.Errorf("after reload = %q", got)
	}
	write("")
	if err := s.Reload(); err == nil {
		t.Error("an empty file was accepted")
	}
	if got := s.First(vault.APIKey).Reveal(); got != "sk_test_two" {
		t.Errorf("after a failed reload = %q, want what was there", got)
	}
}

func TestResolveErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, 65<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for reference, want := range map[string]string{
		"sk_test_canary":     "is no secret reference",
		"whsec:canary":       "is no secret reference",
		"env:":               "is no secret reference",
		"file:/nope":         "no such file",
		"file:" + dir:        "it is a folder",
		"file:" + big:        "at most",
		"vault:secret/a#b":   "set VAULT_ADDR",
		"ssm:/prod/x":        "set AWS_REGION",
		"https://x.test/key": "is no secret reference",
	} {
		secret, err := vault.Resolve(reference, lookup(nil))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Resolve(%q) = %v, want an error with %q", reference, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("Resolve(%q) shows what may be a secret: %v", reference, err)
		}
		if secret != (integration.Secret{}) {
			t.Errorf("Resolve(%q) returned a secret beside its error", reference)
		}
	}
}

package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/config"
)

func none(string) (string, bool) { return "", false }

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sallyport.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:1\nworkers: 5\nenvironment: staging\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lookup := func(name string) (string, bool) {
		v, ok := map[string]string{"SALLYPORT_LISTEN": "127.0.0.1:2", "SALLYPORT_WORKERS": "6"}[name]
		return v, ok
	}
	c, err := config.Load(file, lookup, map[string]string{"listen": "127.0.0.1:3"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:3" || c.Workers != 6 || c.Environment != "staging" || c.Queue != 4096 {
		t.Errorf("flag, variable, file, default = %q %d %q %d", c.Listen, c.Workers, c.Environment, c.Queue)
	}
}

func TestEveryMistakeIsListed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sallyport.yaml")
	if err := os.WriteFile(file, []byte("lisen: x\nworkers: many\nbody_limit: 1GB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(file, none, map[string]string{"database": "mysql://x", "log_level": "loud"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"lisen: unknown key", "workers: \"many\"", "body_limit: \"1GB\"", "--database: \"mysql://x\"", "--log-level: \"loud\""} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

func TestEverySettingHasAllThreeForms(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range config.Settings() {
		if s.Help == "" || s.Key == "" || seen[s.Key] {
			t.Errorf("setting %+v lacks a key or help, or is there twice", s)
		}
		seen[s.Key] = true
		if !strings.HasPrefix(s.Variable(), "SALLYPORT_") || strings.Contains(s.Flag(), "_") {
			t.Errorf("%s: variable %s, flag %s", s.Key, s.Variable(), s.Flag())
		}
	}
}

func TestReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	written, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != string(config.Reference()) {
		t.Error("docs/configuration.md is stale: run go generate ./config")
	}
}

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"
)

// R7.4: the GitHub Action is pinned and asks for flags that exist; no input of
// it is written into a command.
func TestAction(t *testing.T) {
	t.Parallel()
	var action struct {
		Name   string `yaml:"name"`
		Inputs map[string]struct {
			Description string `yaml:"description"`
			Default     string `yaml:"default"`
		} `yaml:"inputs"`
		Runs struct {
			Using string `yaml:"using"`
			Steps []struct {
				Uses  string            `yaml:"uses"`
				Run   string            `yaml:"run"`
				Shell string            `yaml:"shell"`
				Env   map[string]string `yaml:"env"`
			} `yaml:"steps"`
		} `yaml:"runs"`
	}
	read(t, "../../action.yml", &action)
	if action.Runs.Using != "composite" || len(action.Runs.Steps) == 0 {
		t.Fatalf("%+v", action)
	}
	pinned := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`)
	flags := newReview(&terminal{}).Flags()
	used := ""
	for _, step := range action.Runs.Steps {
		if step.Uses != "" && !pinned.MatchString(step.Uses) {
			t.Errorf("%s is not pinned by its commit", step.Uses)
		}
		if strings.Contains(step.Run, "${{") {
			t.Errorf("an expression stands in a command, where an input could be one: %s", step.Run)
		}
		if step.Run != "" && step.Shell == "" {
			t.Errorf("a command without a shell: %s", step.Run)
		}
		for _, value := range step.Env {
			used += value
		}
		for _, flag := range regexp.MustCompile(`--([a-z][a-z-]+)`).FindAllStringSubmatch(step.Run, -1) {
			if flags.Lookup(flag[1]) == nil {
				t.Errorf("there is no flag --%s", flag[1])
			}
		}
	}
	page := text(t, "../../docs/review.md")
	for name, input := range action.Inputs {
		if input.Description == "" || !strings.Contains(used, "inputs."+name+" ") {
			t.Errorf("the input %s is not described or not used", name)
		}
		if !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("docs/review.md does not name the input %s", name)
		}
	}
	flags.VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(page, "--"+f.Name) && action.Inputs[f.Name].Description == "" {
			t.Errorf("docs/review.md does not name the flag --%s", f.Name)
		}
	})
}

// R7.4: the hooks for pre-commit call a command that exists.
func TestHooks(t *testing.T) {
	t.Parallel()
	var hooks []struct {
		ID, Name, Entry, Language string
	}
	read(t, "../../.pre-commit-hooks.yaml", &hooks)
	if len(hooks) != 2 {
		t.Fatalf("%d hooks", len(hooks))
	}
	page := text(t, "../../docs/review.md")
	for _, hook := range hooks {
		words := strings.Fields(hook.Entry)
		if len(words) < 2 || words[0] != "sallyport" || words[1] != newReview(&terminal{}).Name() || hook.Language != "golang" || hook.Name == "" {
			t.Errorf("%+v", hook)
		}
		if !strings.Contains(page, "id: "+hook.ID) {
			t.Errorf("docs/review.md does not name the hook %s", hook.ID)
		}
		for _, word := range words[2:] {
			if name, ok := strings.CutPrefix(word, "--"); ok && newReview(&terminal{}).Flags().Lookup(name) == nil {
				t.Errorf("there is no flag --%s", name)
			}
		}
	}
}

func text(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func read(t *testing.T, file string, v any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text(t, file)), v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// Package vault turns secret references into secrets and keeps them in memory.
//
// A plan holds references, never values (R2.1, R2.8):
//
//	env:NAME    an environment variable
//	file:PATH   a file; one trailing newline is cut off
//
// Several references under one name are all valid at once, so that a secret
// can be rotated with overlap (R2.9). References are resolved at start and
// again on Reload; a failed reload keeps what was there.
//
// vault: and ssm: are references of the plan format that this version can't
// resolve; an environment that uses them is refused at start, by name.
package vault

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// maxFile bounds a secret file; a key of more than 64 KB is a mistake.
const maxFile = 64 << 10

// Environment looks up an environment variable; os.LookupEnv is one.
type Environment func(name string) (value string, ok bool)

// errNoReference does not show the value: whoever wrote a secret where a
// reference belongs must not find it in the log as well.
var errNoReference = errors.New("the value (not shown) is no secret reference; write env:NAME or file:PATH, never the secret itself")

// Resolve returns the secret behind one reference. Its errors name the
// reference, never a value.
func Resolve(reference string, lookup Environment) (integration.Secret, error) {
	scheme, rest, ok := strings.Cut(reference, ":")
	if !ok || rest == "" {
		return integration.Secret{}, errNoReference
	}
	switch scheme {
	case "env":
		v, ok := lookup(rest)
		if !ok {
			return integration.Secret{}, fmt.Errorf("%s: the environment variable %s is not set", reference, rest)
		}
		if v == "" {
			return integration.Secret{}, fmt.Errorf("%s: the environment variable %s is empty", reference, rest)
		}
		return integration.NewSecret(v), nil
	case "file":
		return readFile(reference, rest)
	case "vault", "ssm":
		return integration.Secret{}, fmt.Errorf("%s: this version resolves env: and file: only; mount the secret as a file and write file:PATH", reference)
	}
	return integration.Secret{}, errNoReference
}

func readFile(reference, path string) (integration.Secret, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return integration.Secret{}, fmt.Errorf("%s: there is no such file", reference)
	case err != nil:
		return integration.Secret{}, fmt.Errorf("%s: %w", reference, err)
	case info.IsDir():
		return integration.Secret{}, fmt.Errorf("%s: it is a folder, not a file", reference)
	case info.Size() > maxFile:
		return integration.Secret{}, fmt.Errorf("%s: the file has %d bytes; a secret has at most %d", reference, info.Size(), maxFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return integration.Secret{}, fmt.Errorf("%s: %w", reference, err)
	}
	v := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if v == "" {
		return integration.Secret{}, fmt.Errorf("%s: the file is empty", reference)
	}
	return integration.NewSecret(v), nil
}

// Secrets are the resolved secrets of one plan in one environment. It is safe
// for use by many goroutines.
type Secrets struct {
	plan        *plan.Plan
	environment string
	lookup      Environment
	current     atomic.Pointer[map[string][]integration.Secret]
}

// Open resolves every secret the plan needs in the environment: its own, and
// the signing secrets of its destinations. The error lists every problem, one
// a line: references that don't resolve, secrets that the plan needs and does
// not name, live keys outside production and test keys inside it (R2.11).
func Open(p *plan.Plan, environment string, lookup Environment) (*Secrets, error) {
	s := &Secrets{plan: p, environment: environment, lookup: lookup}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload resolves the references again. When it fails nothing changes.
func (s *Secrets) Reload() error {
	env, ok := s.plan.Environments[s.environment]
	if !ok {
		return fmt.Errorf("%s: the plan has no environment %q; it has %s", s.plan.Service, s.environment, strings.Join(names(s.plan.Environments), ", "))
	}
	resolved := make(map[string][]integration.Secret)
	var problems []error
	resolve := func(name, at string, references []string) {
		for _, reference := range references {
			secret, err := Resolve(reference, s.lookup)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %s: %w", s.plan.Service, at, err))
				continue
			}
			resolved[name] = append(resolved[name], secret)
		}
	}
	for _, name := range names(env.Secrets) {
		resolve(name, "environments."+s.environment+".secrets."+name, env.Secrets[name])
	}
	for _, name := range names(s.plan.Destinations) {
		resolve(destinationKey(name), "destinations."+name+".secret", []string{s.plan.Destinations[name].Secret})
	}
	problems = append(problems, s.missing(env)...)
	problems = append(problems, s.mixed(resolved[APIKey])...)
	if err := errors.Join(problems...); err != nil {
		return err
	}
	s.current.Store(&resolved)
	return nil
}

// The names of secrets that stages ask for.
const (
	APIKey        = "api_key"
	WebhookSecret = "webhook_secret"
)

func destinationKey(name string) string { return "destination/" + name }

// missing names the secrets that the plan can't run without.
func (s *Secrets) missing(env plan.Environment) []error {
	var problems []error
	need := func(name, why string) {
		if len(env.Secrets[name]) == 0 {
			problems = append(problems, fmt.Errorf("%s: environments.%s.secrets.%s is missing: %s; add it, for example as env:%s_%s",
				s.plan.Service, s.environment, name, why,
				strings.ToUpper(strings.ReplaceAll(s.plan.Service, "-", "_")), strings.ToUpper(name)))
		}
	}
	if s.plan.Auth.Use == "api_key" || s.plan.Auth.Use == "basic" {
		need(APIKey, "calls need a credential")
	}
	if s.plan.Webhooks != nil && len(s.plan.Webhooks.Events) > 0 {
		need(WebhookSecret, "webhooks can't be verified without it")
	}
	return problems
}

// mixed finds keys of the wrong stage (R2.11).
func (s *Secrets) mixed(keys []integration.Secret) []error {
	auth := s.auth()
	if auth == nil {
		return nil
	}
	production := plan.Production(s.environment)
	var problems []error
	for _, key := range keys {
		if prefix := prefixOf(key, auth.LivePrefix); prefix != "" && !production {
			problems = append(problems, fmt.Errorf("%s: environments.%s.secrets.%s holds a live key (%s…); live keys belong to production only",
				s.plan.Service, s.environment, APIKey, prefix))
		}
		if prefix := prefixOf(key, auth.TestPrefix); prefix != "" && production {
			problems = append(problems, fmt.Errorf("%s: environments.%s.secrets.%s holds a test key (%s…); production needs a live key",
				s.plan.Service, s.environment, APIKey, prefix))
		}
	}
	return problems
}

func (s *Secrets) auth() *catalog.Auth {
	if s.plan.Provider == nil {
		return nil
	}
	i := slices.IndexFunc(s.plan.Provider.Auth, func(a catalog.Auth) bool { return a.Kind == s.plan.Auth.Use })
	if i < 0 {
		return nil
	}
	return &s.plan.Provider.Auth[i]
}

func prefixOf(key integration.Secret, prefixes []string) string {
	for _, p := range prefixes {
		if strings.HasPrefix(key.Reveal(), p) {
			return p
		}
	}
	return ""
}

// All returns the secrets under name, newest first; nil when there are none.
func (s *Secrets) All(name string) []integration.Secret { return (*s.current.Load())[name] }

// First returns the secret to use under name: the first listed. It is empty
// when there is none.
func (s *Secrets) First(name string) integration.Secret {
	if all := s.All(name); len(all) > 0 {
		return all[0]
	}
	return integration.Secret{}
}

// Destination returns the signing secret of a destination.
func (s *Secrets) Destination(name string) integration.Secret {
	return s.First(destinationKey(name))
}

func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/vault/aws"
	"github.com/sallyport/sallyport/vault/hashicorp"
)

// maxFile bounds a secret file; a key of more than 64 KB is a mistake.
const maxFile = 64 << 10

// Environment looks up an environment variable; os.LookupEnv is one.
type Environment func(name string) (value string, ok bool)

// errNoReference does not show the value: whoever wrote a secret where a
// reference belongs must not find it in the log as well.
var errNoReference = errors.New("the value (not shown) is no secret reference; write env:NAME, file:PATH, vault:MOUNT/PATH#FIELD or ssm:NAME, never the secret itself")

// Resolver resolves references. It keeps its logins at the vaults, so one of
// them is shared by all plans of a process. It is safe for use by many
// goroutines.
type Resolver struct {
	lookup Environment
	vault  func() (*hashicorp.Client, error)
	aws    func() (*aws.Client, error)
}

// NewResolver returns a resolver that finds out from the environment where
// vaults are and how to log in: see hashicorp.FromEnvironment and package aws.
func NewResolver(lookup Environment) *Resolver { return NewResolverWith(lookup, nil) }

// NewResolverWith is NewResolver with the client that asks vaults; nil is one
// with a timeout of 10 seconds that follows no redirects.
func NewResolverWith(lookup Environment, client *http.Client) *Resolver {
	return &Resolver{
		lookup: lookup,
		vault:  sync.OnceValues(func() (*hashicorp.Client, error) { return hashicorp.FromEnvironment(lookup) }),
		aws:    sync.OnceValues(func() (*aws.Client, error) { return aws.New(aws.Config{Lookup: lookup, HTTP: client}) }),
	}
}

// Resolve returns the secret behind one reference. Its errors name the
// reference, never a value.
func Resolve(reference string, lookup Environment) (integration.Secret, error) {
	list, err := NewResolver(lookup).All(context.Background(), reference)
	if err != nil {
		return integration.Secret{}, err
	}
	return list[0], nil
}

// remote says whether a reference is resolved over a network.
func remote(reference string) bool {
	return strings.HasPrefix(reference, "vault:") || strings.HasPrefix(reference, "ssm:")
}

// All returns the secrets behind one reference, the one to use first; at least
// one when there is no error. Its errors name the reference, never a value.
func (r *Resolver) All(ctx context.Context, reference string) ([]integration.Secret, error) {
	scheme, rest, ok := strings.Cut(reference, ":")
	if !ok || rest == "" {
		return nil, errNoReference
	}
	var secret integration.Secret
	var err error
	switch scheme {
	case "env":
		secret, err = r.variable(rest)
	case "file":
		secret, err = readFile(rest)
	case "vault":
		return r.fetch(ctx, reference, func() (fetcher, error) { return r.vault() }, rest)
	case "ssm":
		return r.fetch(ctx, reference, func() (fetcher, error) { return r.aws() }, rest)
	default:
		return nil, errNoReference
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", reference, err)
	}
	return []integration.Secret{secret}, nil
}

// ErrElsewhere says that the secret behind a reference can't be written by us.
var ErrElsewhere = errors.New("the secret lies where we can't write it")

// Put writes a new value where a reference points: file: and vault: are. A file
// is replaced as a whole and keeps its mode; a new one only its owner may read.
// It is ErrElsewhere for the others.
func (r *Resolver) Put(ctx context.Context, reference string, value integration.Secret) error {
	scheme, rest, _ := strings.Cut(reference, ":")
	var err error
	switch scheme {
	case "file":
		err = writeFile(rest, value)
	case "vault":
		var client *hashicorp.Client
		if client, err = r.vault(); err == nil {
			err = client.Put(ctx, rest, value)
		}
	default:
		return ErrElsewhere
	}
	if err != nil {
		return fmt.Errorf("%s: %w", reference, err)
	}
	return nil
}

func writeFile(path string, value integration.Secret) error {
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	staged, err := stage(path, []byte(value.Reveal()))
	if err != nil {
		return err
	}
	if err = os.Chmod(staged, mode); err == nil {
		err = os.Rename(staged, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(staged))
	}
	return syncFolder(filepath.Dir(path))
}

// fetcher is a vault that is asked over the network.
type fetcher interface {
	Fetch(ctx context.Context, name string) ([]integration.Secret, error)
}

func (r *Resolver) fetch(ctx context.Context, reference string, open func() (fetcher, error), name string) ([]integration.Secret, error) {
	f, err := open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", reference, err)
	}
	list, err := f.Fetch(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", reference, err)
	}
	return list, nil
}

func (r *Resolver) variable(name string) (integration.Secret, error) {
	v, ok := r.lookup(name)
	if !ok {
		return integration.Secret{}, fmt.Errorf("the environment variable %s is not set", name)
	}
	if v == "" {
		return integration.Secret{}, fmt.Errorf("the environment variable %s is empty", name)
	}
	return integration.NewSecret(v), nil
}

func readFile(path string) (integration.Secret, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return integration.Secret{}, errors.New("there is no such file")
	case err != nil:
		return integration.Secret{}, err
	case info.IsDir():
		return integration.Secret{}, errors.New("it is a folder, not a file")
	case info.Size() > maxFile:
		return integration.Secret{}, fmt.Errorf("the file has %d bytes; a secret has at most %d", info.Size(), maxFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return integration.Secret{}, err
	}
	v := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if v == "" {
		return integration.Secret{}, errors.New("the file is empty")
	}
	return integration.NewSecret(v), nil
}

package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// MasterConfig says where the master key is.
type MasterConfig struct {
	// Setting is one of
	//
	//	file:PATH                a keyset in a file that only its owner may read
	//	env:NAME                 a keyset in an environment variable
	//	{…                       a keyset itself
	//	vault-transit:MOUNT/KEY  a key of the transit engine of a HashiCorp Vault or OpenBao
	//	aws-kms:ARN              a key of AWS KMS
	//
	// Empty means a file beside the database, which is made when there is none;
	// production refuses that.
	Setting string
	// Database is the path of the database file.
	Database string
	// Environment is the environment that is run.
	Environment string
	// Resolver finds the vaults.
	Resolver *Resolver
	// Keys are the data keys of the database. With some there, a keyset that is
	// missing is not made anew. Nil: there are none.
	Keys interface {
		TenantKeys(ctx context.Context, after string, most int) ([]integration.TenantKey, error)
	}
	// Said is told in words what was done, such as that a key was made. Nil:
	// nobody is.
	Said func(text string)
}

// NamedMaster is a master key that can say which it is, for people.
type NamedMaster interface {
	Master
	Name() string
}

// KeysetBeside is where the keyset of a database is unless another place is
// named.
func KeysetBeside(database string) string { return database + ".keyset.json" }

// OpenMaster opens the master key.
func OpenMaster(ctx context.Context, c MasterConfig) (NamedMaster, error) {
	if c.Setting == "" {
		return openBeside(ctx, c)
	}
	if strings.HasPrefix(c.Setting, "{") {
		text := c.Setting
		return KeysetFromEnvironment(KeysetVariable, func(string) (string, bool) { return text, true })
	}
	scheme, rest, _ := strings.Cut(c.Setting, ":")
	switch scheme {
	case "file":
		return OpenKeyset(rest)
	case "env":
		return KeysetFromEnvironment(rest, c.Resolver.lookup)
	case "vault-transit":
		client, err := c.Resolver.vault()
		if err != nil {
			return nil, fmt.Errorf("keyset: %w", err)
		}
		return client.Transit(rest)
	case "aws-kms":
		client, err := c.Resolver.aws()
		if err != nil {
			return nil, fmt.Errorf("keyset: %w", err)
		}
		return client.Key(rest)
	}
	return nil, errors.New("keyset: the value (not shown) is none of file:PATH, env:NAME, vault-transit:MOUNT/KEY, aws-kms:ARN") // it may be the keyset itself, cut off
}

// openBeside opens the keyset beside the database and makes it on the first
// run. A database without its keyset is not given another one: what is sealed
// in it could never be opened again.
func openBeside(ctx context.Context, c MasterConfig) (NamedMaster, error) {
	path := KeysetBeside(c.Database)
	if plan.Production(c.Environment) {
		return nil, fmt.Errorf("keyset: %s needs a master key that was put somewhere on purpose; make one with: sallyport secrets keyset FILE, keep a copy apart from the database, and set keyset: file:FILE, or name a key service", c.Environment)
	}
	k, err := OpenKeyset(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if c.Keys != nil {
		there, err := c.Keys.TenantKeys(ctx, "", 1)
		if err != nil {
			return nil, err
		}
		if len(there) > 0 {
			return nil, fmt.Errorf("keyset: %s holds credentials and the keyset %s they are sealed with is gone; restore it, or set keyset to where it is", c.Database, path)
		}
	}
	if err := CreateKeyset(path); err != nil {
		return nil, err
	}
	if c.Said != nil {
		absolute, err := filepath.Abs(path)
		if err != nil {
			absolute = path
		}
		c.Said("made a master key in " + absolute + "; whoever loses it loses every stored credential: keep a copy apart from the database")
	}
	return OpenKeyset(path)
}

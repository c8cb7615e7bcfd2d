package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/sallyport/sallyport/integration"
)

// ErasureKeys are keys in a folder beside the database, one a tenant. A tenant's
// data keys are sealed with its erasure key before they are sealed with the
// master key, so both are needed to open them. Destroying the erasure key makes
// every copy of the database unreadable for that tenant, and for no other:
// backups of the database do not hold it (NIST SP 800-88 calls this cryptographic
// erase). Processes that share the database must share the folder. It is safe
// for use by many goroutines.
//
// The folder must not be in the backups of the database. Whoever loses it loses
// every stored credential, so it needs copies of its own; a tenant is erased for
// good when the last copy of the folder from before is gone.
type ErasureKeys struct{ folder string }

// erasureMark is the file that tells a folder of erasure keys from a place where
// nothing is mounted.
const erasureMark = "README.txt"

const erasureText = `The erasure keys of Sallyport: one file a customer. Keep this folder out of the
backups of the database. Without a customer's file nobody can open its stored
credentials any more, in no copy of the database; without the folder, nobody's.
`

// CreateErasureKeys makes a folder for erasure keys, or one that is empty into
// such.
func CreateErasureKeys(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("erasure keys: %w", err)
	}
	entries, err := os.ReadDir(folder)
	switch {
	case err != nil:
		return fmt.Errorf("erasure keys: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("erasure keys: %s is not empty", folder)
	}
	if err := os.Chmod(folder, 0o700); err != nil { //nolint:gosec // a folder needs the x to be entered
		return fmt.Errorf("erasure keys: %w", err)
	}
	return (&ErasureKeys{folder}).write(erasureMark, []byte(erasureText))
}

// OpenErasureKeys opens a folder that CreateErasureKeys made. An empty one is
// refused: a disk may not be mounted.
func OpenErasureKeys(folder string) (*ErasureKeys, error) {
	info, err := os.Stat(filepath.Join(folder, erasureMark))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("erasure keys: %s is no folder of erasure keys; is its disk mounted? A new one is made with: sallyport secrets erasure-keys %s", folder, folder)
	}
	if err == nil {
		info, err = os.Stat(folder)
	}
	if err != nil {
		return nil, fmt.Errorf("erasure keys: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("erasure keys: others may look into %s (mode %04o); run: chmod 700 %s", folder, info.Mode().Perm(), folder)
	}
	return &ErasureKeys{folder: folder}, nil
}

// Folder is where they are.
func (e *ErasureKeys) Folder() string { return e.folder }

// path is a tenant's file. Names of tenants are anything; their hash is a name
// for a file, and the folder does not list our customers.
func (e *ErasureKeys) path(tenant string) string {
	sum := sha256.Sum256([]byte("sallyport/erasure-key/1\x00" + tenant))
	name := hex.EncodeToString(sum[:])
	return filepath.Join(e.folder, name[:2], name[2:])
}

// errErased is ErrKeyGone with what may be the matter.
var errErased = fmt.Errorf("the tenant's erasure key is not there; is erasure_keys the right folder? If the tenant was being erased, erase it again: %w", ErrKeyGone)

// key opens a tenant's erasure key, and makes it where asked.
func (e *ErasureKeys) key(tenant string, create bool) (tink.AEAD, error) {
	path := e.path(tenant)
	for try := 0; ; try++ {
		plain, err := os.ReadFile(path)
		switch {
		case err == nil:
			defer clear(plain)
			key, err := readDataKey(tenant, plain)
			if err != nil {
				return nil, fmt.Errorf("erasure key %s: it is damaged", path)
			}
			return key.aead, nil
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("erasure key: %w", err)
		case !create || try > 0:
			return nil, errErased
		}
		fresh, err := newDataKey()
		if err != nil {
			return nil, fmt.Errorf("erasure key: %w", err)
		}
		err = e.write(path[len(e.folder)+1:], fresh)
		clear(fresh)
		if err != nil {
			return nil, err
		}
	}
}

// write makes a file that is on the disk when this returns. Where another
// process was faster, its file stays.
func (e *ErasureKeys) write(name string, text []byte) error {
	path := filepath.Join(e.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("erasure key: %w", err)
	}
	staged, err := stage(path, text)
	if err != nil {
		return fmt.Errorf("erasure key: %w", err)
	}
	defer os.Remove(staged)
	if err := os.Link(staged, path); err != nil && !errors.Is(err, fs.ErrExist) { // unlike a rename, a link replaces nothing
		return fmt.Errorf("erasure key: %w", err)
	}
	return errors.Join(syncFolder(filepath.Dir(path)), syncFolder(e.folder))
}

// sealedTwice begins a data key that was sealed with an erasure key. A bare one
// is a keyset, which begins with another byte.
var sealedTwice = []byte("sallyport/erasure/1\x00")

// wrapKey seals a data key with its tenant's erasure key, where there are such,
// and with the master key.
func wrapKey(ctx context.Context, m Master, e *ErasureKeys, k *integration.TenantKey, plain []byte) (sealed []byte, key string, err error) {
	if e != nil {
		erasure, err := e.key(k.Tenant, true)
		if err != nil {
			return nil, "", err
		}
		once, err := erasure.Encrypt(plain, keyBinding(k))
		if err != nil {
			return nil, "", fmt.Errorf("erasure key: %w", err)
		}
		plain = append(bytes.Clone(sealedTwice), once...)
	}
	return m.Wrap(ctx, plain, keyBinding(k))
}

// unwrapKey opens what wrapKey sealed, and data keys from before there were
// erasure keys.
func unwrapKey(ctx context.Context, m Master, e *ErasureKeys, k *integration.TenantKey) ([]byte, error) {
	plain, err := m.Unwrap(ctx, k.Sealed, keyBinding(k), k.Master)
	if err != nil {
		return nil, err
	}
	once, ok := bytes.CutPrefix(plain, sealedTwice)
	if !ok {
		return plain, nil
	}
	if e == nil {
		return nil, errors.New("it is sealed with an erasure key as well; set erasure_keys to their folder")
	}
	erasure, err := e.key(k.Tenant, false)
	if err != nil {
		return nil, err
	}
	plain, err = erasure.Decrypt(once, keyBinding(k))
	if err != nil {
		return nil, errors.New("it is sealed with another erasure key; is erasure_keys the right folder?")
	}
	return plain, nil
}

// Destroy overwrites and deletes a tenant's erasure key. since is when it was
// made; zero when there is none. An overwritten file may leave its old content
// on disks that write elsewhere, such as SSDs and snapshots: encrypt the disk.
func (e *ErasureKeys) Destroy(tenant string) (since time.Time, err error) {
	path := e.path(tenant)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return since, nil
	case err != nil:
		return since, fmt.Errorf("erasure key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return since, fmt.Errorf("erasure key: %w", err)
	}
	_, err = f.Write(make([]byte, info.Size()))
	err = errors.Join(err, f.Sync(), f.Close(), os.Remove(path), syncFolder(filepath.Dir(path)))
	if err != nil {
		return since, fmt.Errorf("erasure key: %w", err)
	}
	return info.ModTime(), nil
}

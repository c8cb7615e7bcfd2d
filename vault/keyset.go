package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// KeysetVariable is the environment variable that holds the keyset where the
// setting says env: and no name.
const KeysetVariable = "SALLYPORT_KEYSET"

// Keyset is a master key that lies in a file or in the environment: a Tink
// keyset in JSON, as `tinkey create-keyset --out-format json` writes. The
// primary key seals; the others open what is still sealed with them.
type Keyset struct {
	source keysetSource

	mu      sync.Mutex
	handle  *keyset.Handle
	aead    tink.AEAD
	primary string
	stamp   string // of the source when it was read
}

// keysetSource is where a keyset lies.
type keysetSource interface {
	name() string
	// stamp changes when the keyset does.
	stamp() (string, error)
	read() ([]byte, error)
	write([]byte) error
	// lock keeps other processes from changing it.
	lock() (unlock func() error, err error)
}

// OpenKeyset reads the keyset of a file that only its owner may read.
func OpenKeyset(path string) (*Keyset, error) { return openKeyset(fileKeyset(path)) }

// KeysetFromEnvironment reads the keyset of an environment variable.
func KeysetFromEnvironment(name string, lookup Environment) (*Keyset, error) {
	if name == "" {
		name = KeysetVariable
	}
	return openKeyset(&environmentKeyset{variable: name, lookup: lookup})
}

func openKeyset(source keysetSource) (*Keyset, error) {
	k := &Keyset{source: source}
	if err := k.reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// CreateKeyset makes a keyset with one new key in a new file of mode 0600.
// Another process that was faster is no error: the file is then as it made it.
func CreateKeyset(path string) error {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("keyset %s: %w", path, err)
	}
	text, err := marshalKeyset(handle)
	if err != nil {
		return fmt.Errorf("keyset %s: %w", path, err)
	}
	defer clear(text)
	// A link fails when the name is taken, so the file is whole or not there.
	staged, err := stage(path, text)
	if err != nil {
		return fmt.Errorf("keyset %s: %w", path, err)
	}
	defer os.Remove(staged)
	if err := os.Link(staged, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keyset %s: %w", path, err)
	}
	return syncFolder(filepath.Dir(path))
}

// Name says where the keyset lies: file:PATH or env:NAME.
func (k *Keyset) Name() string { return k.source.name() }

// Wrap seals with the primary key; see Master. It looks whether the keyset has
// changed first, so that nothing is sealed with a key about to be disabled.
func (k *Keyset) Wrap(_ context.Context, plain, associated []byte) (sealed []byte, key string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if stamp, err := k.source.stamp(); err == nil && stamp != k.stamp {
		if err := k.reloadLocked(); err != nil {
			return nil, "", err
		}
	}
	sealed, err = k.aead.Encrypt(plain, associated)
	return sealed, k.primary, err
}

// Unwrap opens what a key of the keyset sealed; see Master. A key that is not
// known is looked for in the keyset as it is now.
func (k *Keyset) Unwrap(_ context.Context, sealed, associated []byte, key string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	state := k.stateOf(key)
	if state != keyset.Enabled {
		if stamp, err := k.source.stamp(); err == nil && stamp != k.stamp {
			if err := k.reloadLocked(); err != nil {
				return nil, err
			}
			state = k.stateOf(key)
		}
	}
	switch state {
	case keyset.Enabled:
	case keyset.Unknown:
		return nil, fmt.Errorf("%s has no key %s, with which this was sealed: it is not the keyset of this database; restore the one that is", k.source.name(), key)
	default:
		return nil, fmt.Errorf("key %s of %s is disabled; enable it, and run sallyport secrets rotate again", key, k.source.name())
	}
	plain, err := k.aead.Decrypt(sealed, associated)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Primary is the id of the key that seals.
func (k *Keyset) Primary() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.primary
}

// stateOf is keyset.Unknown for a key that is not there.
func (k *Keyset) stateOf(key string) keyset.KeyStatus {
	for i := range k.handle.Len() {
		if e, err := k.handle.Entry(i); err == nil && formatID(e.KeyID()) == key {
			return e.KeyStatus()
		}
	}
	return keyset.Unknown
}

func (k *Keyset) reload() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reloadLocked()
}

func (k *Keyset) reloadLocked() error {
	stamp, err := k.source.stamp()
	if err != nil {
		return err
	}
	text, err := k.source.read()
	if err != nil {
		return err
	}
	defer clear(text)
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return fmt.Errorf("%s holds no keyset; want the JSON that tinkey create-keyset or sallyport itself writes", k.source.name())
	}
	return k.use(handle, stamp)
}

func (k *Keyset) use(handle *keyset.Handle, stamp string) error {
	primitive, err := aead.New(handle)
	if err != nil {
		return fmt.Errorf("%s: the keyset can't seal; want keys of type AES-256-GCM: %w", k.source.name(), err)
	}
	primary, err := handle.Primary()
	if err != nil {
		return fmt.Errorf("%s: the keyset has no primary key", k.source.name())
	}
	k.handle, k.aead, k.primary, k.stamp = handle, primitive, formatID(primary.KeyID()), stamp
	return nil
}

func formatID(id uint32) string { return strconv.FormatUint(uint64(id), 10) }

// AddPrimary makes a new key, writes the keyset and seals with the new key from
// now on. It returns the id of the new key. When before is not the primary key
// any more, another has made one: that is returned.
func (k *Keyset) AddPrimary(before string) (fresh string, err error) {
	err = k.edit(func(m *keyset.Manager) error {
		if fresh = k.primary; fresh != before {
			return errUnchanged
		}
		id, err := m.Add(aead.AES256GCMKeyTemplate())
		if err != nil {
			return err
		}
		fresh = formatID(id)
		return m.SetPrimary(id)
	})
	return fresh, err
}

// errUnchanged ends an edit that has nothing to do.
var errUnchanged = errors.New("unchanged")

// DisableOthers disables every key but the primary one, and says which.
func (k *Keyset) DisableOthers() (disabled []string, err error) {
	err = k.edit(func(m *keyset.Manager) error {
		for i := range k.handle.Len() {
			e, err := k.handle.Entry(i)
			if err != nil {
				return err
			}
			if e.IsPrimary() || e.KeyStatus() != keyset.Enabled {
				continue
			}
			if err := m.Disable(e.KeyID()); err != nil {
				return err
			}
			disabled = append(disabled, formatID(e.KeyID()))
		}
		return nil
	})
	return disabled, err
}

// Enable makes disabled keys open again. Keys that are not there are no error.
func (k *Keyset) Enable(keys []string) error {
	return k.edit(func(m *keyset.Manager) error {
		for i := range k.handle.Len() {
			e, err := k.handle.Entry(i)
			if err != nil {
				return err
			}
			if !slices.Contains(keys, formatID(e.KeyID())) {
				continue
			}
			if err := m.Enable(e.KeyID()); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteOthers deletes every key but the primary one, and says which. What is
// sealed with them, in whatever copy, can't be opened any more.
func (k *Keyset) DeleteOthers() (deleted []string, err error) {
	err = k.edit(func(m *keyset.Manager) error {
		for i := range k.handle.Len() {
			e, err := k.handle.Entry(i)
			if err != nil {
				return err
			}
			if e.IsPrimary() {
				continue
			}
			if err := m.Delete(e.KeyID()); err != nil {
				return err
			}
			deleted = append(deleted, formatID(e.KeyID()))
		}
		return nil
	})
	return deleted, err
}

// edit changes the keyset as it is at its source now. No other process changes
// it at the same time: what one of them adds must not be lost.
func (k *Keyset) edit(change func(*keyset.Manager) error) (err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	unlock, err := k.source.lock()
	if err != nil {
		return fmt.Errorf("%s: %w", k.source.name(), err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := k.reloadLocked(); err != nil {
		return err
	}
	m := keyset.NewManagerFromHandle(k.handle)
	switch err := change(m); {
	case errors.Is(err, errUnchanged):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", k.source.name(), err)
	}
	handle, err := m.Handle()
	if err != nil {
		return fmt.Errorf("%s: %w", k.source.name(), err)
	}
	text, err := marshalKeyset(handle)
	if err != nil {
		return fmt.Errorf("%s: %w", k.source.name(), err)
	}
	defer clear(text)
	if err := k.source.write(text); err != nil {
		return err
	}
	return k.reloadLocked()
}

func marshalKeyset(handle *keyset.Handle) ([]byte, error) {
	var out bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&out)); err != nil {
		return nil, err
	}
	return append(out.Bytes(), '\n'), nil
}

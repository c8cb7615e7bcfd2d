package vault

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/sallyport/sallyport/integration"
)

// Binding says where a sealed secret belongs. What was sealed for one place
// can't be opened as that of another (R2.7).
type Binding struct {
	Tenant     string
	Connection string
	Field      string // access_token, api_key, …
}

// associated is the authenticated data of a binding: each part with its length
// in front, so that no two bindings are the same bytes.
func (b Binding) associated() []byte {
	return lengths("sallyport/credential/1", b.Tenant, b.Connection, b.Field)
}

func lengths(parts ...string) []byte {
	var out []byte
	for _, p := range parts {
		out = binary.AppendUvarint(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}

// Errors of opening.
var (
	// ErrSealed: the bytes are damaged, or were sealed for another tenant,
	// connection or field.
	ErrSealed = errors.New("the sealed secret can't be opened: it is damaged, or was sealed for another tenant, connection or field")
	// ErrKeyGone: the data key does not exist any more. The tenant was erased.
	ErrKeyGone = errors.New("the key this secret was sealed with is gone: its tenant was erased")
)

// Master seals data keys. Keyset is one; so are the key services.
type Master interface {
	// Wrap seals with the primary key and says which one that is.
	Wrap(ctx context.Context, plain, associated []byte) (sealed []byte, key string, err error)
	// Unwrap opens what Wrap sealed with the key of that id.
	Unwrap(ctx context.Context, sealed, associated []byte, key string) ([]byte, error)
}

// KeyStore keeps data keys. A store is one.
type KeyStore interface {
	TenantKey(ctx context.Context, id string) (integration.TenantKey, error)
	TenantKeyInUse(ctx context.Context, tenant string) (integration.TenantKey, error)
	PutTenantKey(ctx context.Context, k integration.TenantKey, replaces string) error
}

// SealerConfig is what a Sealer works with.
type SealerConfig struct {
	Keys   KeyStore
	Master Master
	// ErasureKeys seal new data keys besides the master key; nil: that does
	// alone.
	ErasureKeys *ErasureKeys
	// Cached is how many data keys are held in memory at most. Zero means
	// 10,000, which is some 20 MB when all are in use.
	Cached int
	// Fresh is how long a data key is used to seal before it is looked up
	// whether another has taken its place. Zero means a minute.
	Fresh time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Sealer seals secrets with AES-256-GCM under a data key of their tenant. The
// data keys lie in the store, sealed with the master key: without that the
// database is of no use, and without its data key nothing of a tenant is. It is
// safe for use by many goroutines.
type Sealer struct {
	config SealerConfig
	byID   *lru.Cache[uuid.UUID, *dataKey]
	mu     sync.Mutex
	inUse  *lru.Cache[string, inUse]
}

// dataKey is an opened data key.
type dataKey struct {
	tenant string
	aead   tink.AEAD
}

// inUse is the key a tenant's secrets are sealed with, as last looked up.
type inUse struct {
	id uuid.UUID
	at time.Time
}

// NewSealer makes a Sealer.
func NewSealer(c SealerConfig) (*Sealer, error) {
	if c.Keys == nil || c.Master == nil {
		return nil, errors.New("vault: a sealer needs a place for data keys and a master key")
	}
	if c.Cached <= 0 {
		c.Cached = 10_000
	}
	if c.Fresh <= 0 {
		c.Fresh = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Sealer{config: c}
	var err error
	if s.byID, err = lru.New[uuid.UUID, *dataKey](c.Cached); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if s.inUse, err = lru.New[string, inUse](c.Cached); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return s, nil
}

// A sealed secret is a byte for the format, the 16 bytes of the data key's id
// and what Tink makes of the secret: key prefix, nonce, ciphertext, tag.
const (
	formatOne  = 1
	headerSize = 1 + 16
)

// KeyID returns the id of the data key that sealed was sealed with; empty when
// that is no sealed secret.
func KeyID(sealed []byte) string {
	id, ok := keyID(sealed)
	if !ok {
		return ""
	}
	return id.String()
}

func keyID(sealed []byte) (id uuid.UUID, ok bool) {
	if len(sealed) <= headerSize || sealed[0] != formatOne {
		return id, false
	}
	return uuid.UUID(sealed[1:headerSize]), true
}

// Seal encrypts a secret for one place. The first secret of a tenant makes its
// data key.
func (s *Sealer) Seal(ctx context.Context, b Binding, secret integration.Secret) ([]byte, error) {
	id, key, err := s.sealing(ctx, b.Tenant)
	if err != nil {
		return nil, err
	}
	return seal(id, key, b, secret)
}

func seal(id uuid.UUID, key *dataKey, b Binding, secret integration.Secret) ([]byte, error) {
	ciphertext, err := key.aead.Encrypt([]byte(secret.Reveal()), b.associated())
	if err != nil {
		return nil, fmt.Errorf("vault: sealing %s: %w", b.Field, err)
	}
	sealed := make([]byte, 0, headerSize+len(ciphertext))
	sealed = append(sealed, formatOne)
	sealed = append(sealed, id[:]...)
	return append(sealed, ciphertext...), nil
}

// Credential seals a secret and returns it as the row that a store keeps.
// CreatedAt is now; ExpiresAt is left to the caller.
func (s *Sealer) Credential(ctx context.Context, b Binding, secret integration.Secret) (integration.Credential, error) {
	sealed, err := s.Seal(ctx, b, secret)
	if err != nil {
		return integration.Credential{}, err
	}
	return integration.Credential{
		Connection: b.Connection, Field: b.Field, Sealed: sealed, KeyID: KeyID(sealed),
		Fingerprint: secret.Fingerprint(), CreatedAt: s.config.Now().UTC(),
	}, nil
}

// Open decrypts what was sealed for this place. It is ErrSealed when the bytes
// are not that, and ErrKeyGone when the tenant was erased.
func (s *Sealer) Open(ctx context.Context, b Binding, sealed []byte) (integration.Secret, error) {
	id, ok := keyID(sealed)
	if !ok {
		return integration.Secret{}, ErrSealed
	}
	key, err := s.key(ctx, id)
	if err != nil {
		return integration.Secret{}, err
	}
	if key.tenant != b.Tenant {
		return integration.Secret{}, ErrSealed
	}
	plain, err := key.aead.Decrypt(sealed[headerSize:], b.associated())
	if err != nil {
		return integration.Secret{}, ErrSealed
	}
	secret := integration.NewSecret(string(plain))
	clear(plain)
	return secret, nil
}

// Forget drops what is held in memory of a tenant.
func (s *Sealer) Forget(tenant string) {
	s.inUse.Remove(tenant)
	for _, id := range s.byID.Keys() {
		if key, ok := s.byID.Peek(id); ok && key.tenant == tenant {
			s.byID.Remove(id)
		}
	}
}

// key opens a data key, from memory if it is there.
func (s *Sealer) key(ctx context.Context, id uuid.UUID) (*dataKey, error) {
	if key, ok := s.byID.Get(id); ok {
		return key, nil
	}
	kept, err := s.config.Keys.TenantKey(ctx, id.String())
	switch {
	case errors.Is(err, integration.ErrNotFound):
		return nil, ErrKeyGone
	case err != nil:
		return nil, err
	}
	return s.unwrap(ctx, id, &kept)
}

func (s *Sealer) unwrap(ctx context.Context, id uuid.UUID, kept *integration.TenantKey) (*dataKey, error) {
	plain, err := unwrapKey(ctx, s.config.Master, s.config.ErasureKeys, kept)
	if err != nil {
		return nil, fmt.Errorf("vault: data key %s: %w", kept.ID, err)
	}
	defer clear(plain)
	key, err := readDataKey(kept.Tenant, plain)
	if err != nil {
		return nil, fmt.Errorf("vault: data key %s: %w", kept.ID, err)
	}
	s.byID.Add(id, key)
	return key, nil
}

// keyBinding binds a sealed data key to its row.
func keyBinding(k *integration.TenantKey) []byte {
	return lengths("sallyport/tenant-key/1", k.Tenant, k.ID)
}

// sealing returns the key in use of a tenant; it makes one where there is none.
func (s *Sealer) sealing(ctx context.Context, tenant string) (uuid.UUID, *dataKey, error) {
	now := s.config.Now()
	if use, ok := s.inUse.Get(tenant); ok && now.Sub(use.at) < s.config.Fresh {
		if key, ok := s.byID.Get(use.id); ok {
			return use.id, key, nil
		}
	}
	s.mu.Lock() // one look at the store for all that wait
	defer s.mu.Unlock()
	kept, err := s.config.Keys.TenantKeyInUse(ctx, tenant)
	if errors.Is(err, integration.ErrNotFound) {
		kept, err = s.replace(ctx, tenant, "")
	}
	if err != nil {
		return uuid.UUID{}, nil, err
	}
	id, err := uuid.Parse(kept.ID)
	if err != nil {
		return uuid.UUID{}, nil, fmt.Errorf("vault: data key %q: %w", kept.ID, err)
	}
	key, ok := s.byID.Get(id)
	if !ok {
		if key, err = s.unwrap(ctx, id, &kept); err != nil {
			return uuid.UUID{}, nil, err
		}
	}
	s.inUse.Add(tenant, inUse{id: id, at: now})
	return id, key, nil
}

// replace makes a new data key in place of the one named, or returns the one
// that another process put there first.
func (s *Sealer) replace(ctx context.Context, tenant, replaces string) (integration.TenantKey, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return integration.TenantKey{}, fmt.Errorf("vault: data key: %w", err)
	}
	k := integration.TenantKey{ID: id.String(), Tenant: tenant, CreatedAt: s.config.Now().UTC()}
	plain, err := newDataKey()
	if err != nil {
		return integration.TenantKey{}, fmt.Errorf("vault: data key: %w", err)
	}
	defer clear(plain)
	if k.Sealed, k.Master, err = wrapKey(ctx, s.config.Master, s.config.ErasureKeys, &k, plain); err != nil {
		return integration.TenantKey{}, fmt.Errorf("vault: sealing a data key: %w", err)
	}
	err = s.config.Keys.PutTenantKey(ctx, k, replaces)
	if errors.Is(err, integration.ErrFenced) {
		return s.config.Keys.TenantKeyInUse(ctx, tenant)
	}
	return k, err
}

// newDataKey makes a key and writes it as Tink does. XAES-256-GCM is
// AES-256-GCM under a key derived from half of a 24-byte nonce, so that nonces
// drawn at random never run out.
func newDataKey() ([]byte, error) {
	handle, err := keyset.NewHandle(aead.XAES256GCM192BitNonceKeyTemplate())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&out)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func readDataKey(tenant string, plain []byte) (*dataKey, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(plain)))
	if err != nil {
		return nil, errors.New("the opened key is no keyset") // Tink's error could show parts of it
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, errors.New("the opened key is no key for sealing")
	}
	return &dataKey{tenant: tenant, aead: primitive}, nil
}

package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Eraser is what a tenant is erased from. A store is one.
type Eraser interface {
	EraseKeys(ctx context.Context, tenant string, audit integration.AuditEntry) (integration.Erasure, error)
	EraseRecords(ctx context.Context, tenant string, most int) (erased integration.Erasure, more bool, err error)
	Checkpoint(ctx context.Context) error
}

// Receipt says what was erased of a tenant, when and by whom. It holds nothing
// of what was erased.
type Receipt struct {
	Tenant      string    `json:"tenant"`
	At          time.Time `json:"at"`
	By          string    `json:"by"`
	Credentials int       `json:"credentials"`
	Connections int       `json:"connections"`
	Flows       int       `json:"flows"`
	Events      int       `json:"events"`
	Deliveries  int       `json:"deliveries"`
	Calls       int       `json:"calls"`
	Attempts    int       `json:"attempts"`
	Uses        int       `json:"uses_of_credentials"`
	DataKeys    []string  `json:"data_keys"`
	// Backups says what a copy of the database from before is worth.
	Backups string `json:"backups"`
	// SHA256 is of this receipt as JSON with this field empty.
	SHA256 string `json:"sha256"`
}

// eraseBatch is how many records of a kind go in one transaction: some
// milliseconds, so that webhooks are taken in meanwhile.
const eraseBatch = 200

// Erasing is how tenants are erased. From must be set.
type Erasing struct {
	From Eraser
	// ErasureKeys make copies of the database unreadable; nil: there are none.
	ErasureKeys *ErasureKeys
	// Forget drops what this process has in memory of a tenant; nil: nothing.
	// Others hear of it: see Hearing.
	Forget func(tenant string)
	// Progress is told of the records so far; nil: nobody is.
	Progress func(integration.Erasure)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Tenant deletes all of a tenant: first its erasure key, then its data keys and
// credentials, in one transaction, then its records in batches. It can be run
// again after a failure.
func (e *Erasing) Tenant(ctx context.Context, tenant, by string) (Receipt, error) {
	if tenant == "" {
		return Receipt{}, errors.New("erasing: the tenant has no name")
	}
	now := time.Now()
	if e.Now != nil {
		now = e.Now()
	}
	var since time.Time
	var err error
	if e.ErasureKeys != nil {
		if since, err = e.ErasureKeys.Destroy(tenant); err != nil {
			return Receipt{}, err
		}
	}
	audit := integration.AuditEntry{At: now.UTC(), Actor: by, Action: "tenant.erase", Target: tenant, Detail: "all data keys, credentials and records"}
	erased, err := e.From.EraseKeys(ctx, tenant, audit)
	if err != nil {
		return Receipt{}, fmt.Errorf("erasing: run it again: %w", err)
	}
	if e.Forget != nil {
		e.Forget(tenant)
	}
	for more := true; more; {
		var part integration.Erasure
		if part, more, err = e.From.EraseRecords(ctx, tenant, eraseBatch); err != nil {
			return Receipt{}, fmt.Errorf("the credentials are erased, some records are left; run it again: %w", err)
		}
		erased.Add(part)
		if e.Progress != nil {
			e.Progress(erased)
		}
	}
	if err := e.From.Checkpoint(ctx); err != nil {
		return Receipt{}, err
	}
	r := Receipt{
		Tenant: tenant, At: now.UTC(), By: by, Credentials: erased.Credentials, Connections: erased.Connections, Flows: erased.Flows, Events: erased.Events,
		Deliveries: erased.Deliveries, Calls: erased.Calls, Attempts: erased.Attempts, Uses: erased.Uses, DataKeys: erased.DataKeys,
		Backups: backups(erased.Masters, since, e.ErasureKeys),
	}
	return r.signed(), nil
}

// backups says what copies from before are worth.
func backups(masters []string, since time.Time, keys *ErasureKeys) string {
	masters = slices.Compact(slices.Sorted(slices.Values(masters)))
	sealed := "sealed; they can be opened only with the master key " + strings.Join(masters, ", ") + ", and by nobody once that is deleted"
	switch {
	case !since.IsZero():
		at := since.UTC().Format(time.RFC3339)
		return "what was sealed since " + at + " can be opened by nobody: the tenant's erasure key is destroyed; copies of " + keys.Folder() +
			" still hold it, so delete those. Credentials in copies of the database from before " + at + ", if there are, need only the master key of then"
	case len(masters) > 0:
		return "hold the tenant's credentials, " + sealed
	}
	return "hold no credentials of the tenant that this erasure knows of"
}

// KeysDeleted says in the receipt that the master keys of earlier backups are
// gone.
func (r Receipt) KeysDeleted(deleted []string) Receipt {
	r.Backups = "hold credentials that nobody can open any more: the master key " + strings.Join(deleted, ", ") + " was deleted"
	return r.signed()
}

func (r Receipt) signed() Receipt {
	r.SHA256 = ""
	b, err := json.Marshal(r)
	if err != nil {
		return r // texts and numbers always encode
	}
	sum := sha256.Sum256(b)
	r.SHA256 = hex.EncodeToString(sum[:])
	return r
}

package vault

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Usage counts which credential was used for what and by whom (R2.10). Counting
// costs a lookup in a map; the counts of a minute are written at once. It is
// safe for use by many goroutines.
type Usage struct {
	recorder UsageRecorder
	log      *slog.Logger
	now      func() time.Time
	counts   countedUses
}

// UsageRecorder keeps counts. A store is one.
type UsageRecorder interface {
	RecordUses(ctx context.Context, uses []integration.CredentialUse) error
}

// NewUsage returns a Usage that writes to recorder; now is the clock, nil means
// time.Now.
func NewUsage(recorder UsageRecorder, log *slog.Logger, now func() time.Time) *Usage {
	if now == nil {
		now = time.Now
	}
	u := &Usage{recorder: recorder, log: log, now: now}
	u.counts.uses = map[use]count{}
	return u
}

// use is what is counted apart.
type use struct {
	minute                                                    int64 // since 1970
	service, tenant, connection, fingerprint, endpoint, actor string
}

type count struct{ times, refused int }

type countedUses struct {
	mu   sync.Mutex
	uses map[use]count
	lost int
}

// usesMost bounds what waits to be written: more in a minute is counted and not
// told apart.
const usesMost = 10_000

// Used counts one request made with a credential. Of u only Service, Tenant,
// Connection, Fingerprint, Endpoint and Actor are read. Refused says that the
// provider did not accept the credential.
func (u *Usage) Used(about integration.CredentialUse, refused bool) {
	k := use{
		minute: u.now().Unix() / 60, service: about.Service, tenant: about.Tenant, connection: about.Connection,
		fingerprint: about.Fingerprint, endpoint: about.Endpoint, actor: about.Actor,
	}
	u.counts.mu.Lock()
	defer u.counts.mu.Unlock()
	c, there := u.counts.uses[k]
	if !there && len(u.counts.uses) >= usesMost {
		u.counts.lost++
		return
	}
	c.times++
	if refused {
		c.refused++
	}
	u.counts.uses[k] = c
}

// Run writes the counts down every ten seconds until ctx ends, and then once
// more.
func (u *Usage) Run(ctx context.Context) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			u.Flush(last)
			cancel()
			return
		case <-tick.C:
			u.Flush(ctx)
		}
	}
}

// Flush writes down what was counted. Counts that can't be written are kept for
// the next time.
func (u *Usage) Flush(ctx context.Context) {
	u.counts.mu.Lock()
	uses, lost := u.counts.uses, u.counts.lost
	u.counts.uses, u.counts.lost = make(map[use]count, len(uses)), 0
	u.counts.mu.Unlock()
	if lost > 0 {
		u.log.Warn("credential.uses_lost", "uses", lost)
	}
	if len(uses) == 0 {
		return
	}
	list := make([]integration.CredentialUse, 0, len(uses))
	for k, c := range uses {
		list = append(list, integration.CredentialUse{
			Minute: time.Unix(k.minute*60, 0).UTC(), Service: k.service, Tenant: k.tenant, Connection: k.connection, Fingerprint: k.fingerprint,
			Endpoint: k.endpoint, Actor: k.actor, Count: c.times, Refused: c.refused,
		})
	}
	err := u.recorder.RecordUses(ctx, list)
	if err == nil {
		return
	}
	u.log.Error("credential.uses", "error", err)
	u.counts.mu.Lock()
	defer u.counts.mu.Unlock()
	for k, c := range uses {
		has, there := u.counts.uses[k]
		if !there && len(u.counts.uses) >= usesMost {
			u.counts.lost += c.times
			continue
		}
		u.counts.uses[k] = count{has.times + c.times, has.refused + c.refused}
	}
}

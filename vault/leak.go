package vault

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Refuse has the secrets of these fingerprints not used any more, under any name
// of the plan; those that were refused before and are not listed are used again
// (R2.9). A destination's signing secret stays: without it nothing would arrive.
// It returns the names that have no secret left.
func (s *Secrets) Refuse(fingerprints map[string]bool) (without []string) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.refused = maps.Clone(fingerprints)
	next := *s.current.Load()
	next.usable = s.usable(next.byName)
	s.current.Store(&next)
	for _, name := range names(s.plan.Environments[s.environment].Secrets) {
		if len(next.byName[name]) > 0 && len(next.usable[name]) == 0 {
			without = append(without, name)
		}
	}
	return without
}

// usable leaves out what is refused.
func (s *Secrets) usable(byName map[string][]integration.Secret) map[string][]integration.Secret {
	if len(s.refused) == 0 {
		return byName
	}
	usable := make(map[string][]integration.Secret, len(byName))
	for name, list := range byName {
		if _, own := s.plan.Environments[s.environment].Secrets[name]; !own {
			usable[name] = list
			continue
		}
		for _, secret := range list {
			if !s.refused[secret.Fingerprint()] {
				usable[name] = append(usable[name], secret)
			}
		}
	}
	return usable
}

// Leaked reports whether all secrets under a name are refused, so that there is
// none to use.
func (s *Secrets) Leaked(name string) bool {
	current := s.current.Load()
	return len(current.byName[name]) > 0 && len(current.usable[name]) == 0
}

// Fingerprints are those of the secrets under a name of the plan, the one to use
// first in front, refused ones included.
func (s *Secrets) Fingerprints(name string) []string {
	list := s.current.Load().byName[name]
	if _, own := s.plan.Environments[s.environment].Secrets[name]; !own {
		return nil
	}
	prints := make([]string, len(list))
	for i, secret := range list {
		prints[i] = secret.Fingerprint()
	}
	return prints
}

// Notices is where it is kept what all processes on one store have to hear of. A
// store is one.
type Notices interface {
	LeakedSecrets(ctx context.Context) ([]integration.LeakedSecret, error)
	ErasedSince(ctx context.Context, since time.Time) ([]string, error)
}

// Hearing has a process hear of leaks and erasures that others were told of: of
// each within Every, as long as the store answers.
type Hearing struct {
	Kept    Notices
	Secrets []*Secrets // of all plans
	// Forget drops what is in memory of a tenant; it may be called again and
	// again. Nil: there is nothing.
	Forget func(tenant string)
	Log    *slog.Logger
	// Every is how often Run looks. Zero means 5 seconds.
	Every time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu      sync.Mutex
	heard   time.Time // when Look last went well
	told    map[string]bool
	current atomic.Pointer[map[string]bool]
}

// Leaked reports whether a secret is marked, as last heard.
func (h *Hearing) Leaked(fingerprint string) bool {
	current := h.current.Load()
	return current != nil && (*current)[fingerprint]
}

// Replaceable reports whether a person can replace what is kept in a field of a
// connection, as keys and passwords are. Tokens come from the provider.
func Replaceable(field string) bool {
	return slices.Contains([]string{"api_key", "client_secret", "private_key", "password"}, field)
}

// clocksApart is how far the clocks of two processes may differ.
const clocksApart = 10 * time.Minute

// Look looks once.
func (h *Hearing) Look(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if h.Now != nil {
		now = h.Now()
	}
	leaked, err := h.Kept.LeakedSecrets(ctx)
	if err != nil {
		return err
	}
	fingerprints := make(map[string]bool, len(leaked))
	for i := range leaked {
		fingerprints[leaked[i].Fingerprint] = true
	}
	h.current.Store(&fingerprints)
	h.refuse(fingerprints)
	if h.heard.IsZero() {
		h.heard = now // nothing is in memory from before
	}
	erased, err := h.Kept.ErasedSince(ctx, h.heard.Add(-clocksApart))
	if err != nil {
		return err
	}
	h.heard = now
	for _, tenant := range erased {
		if h.Forget != nil {
			h.Forget(tenant)
		}
	}
	return nil
}

func (h *Hearing) refuse(fingerprints map[string]bool) {
	told := map[string]bool{}
	for _, s := range h.Secrets {
		for _, name := range s.Refuse(fingerprints) {
			key := s.plan.Service + " " + name
			told[key] = true
			if !h.told[key] {
				h.Log.Error("secret.leaked", "alert", true, "service", s.plan.Service, "environment", s.environment, "secret", name,
					"hint", "every value of it is marked as leaked and none is used; put a new one in place: sallyport secrets replace "+s.plan.Service+" "+name)
			}
		}
	}
	h.told = told
}

// Run looks until ctx ends.
func (h *Hearing) Run(ctx context.Context) {
	every := h.Every
	if every <= 0 {
		every = 5 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := h.Look(ctx); err != nil && ctx.Err() == nil {
			h.Log.Warn("secrets.hearing", "error", err)
		}
	}
}

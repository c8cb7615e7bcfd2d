package vault

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// Watch reads the references again every so often until ctx ends, so that a
// secret that was swapped where it lies is used without a restart (R2.8, R2.9).
// What changed is logged by name and fingerprint; a place that does not answer
// is a warning, and the last value stays in use. Zero means every minute.
func (s *Secrets) Watch(ctx context.Context, every time.Duration, log *slog.Logger) {
	if every <= 0 {
		every = time.Minute
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := s.current.Load()
		if err := s.ReloadContext(ctx); err != nil && ctx.Err() == nil {
			log.Warn("secrets.reload", "service", s.plan.Service, "error", err)
		}
		for _, name := range changed(before, s.current.Load()) {
			log.Info("secret.changed", "service", s.plan.Service, "secret", name, "fingerprint", s.First(name).Fingerprint())
		}
	}
}

// changed names the secrets that are not what they were.
func changed(before, after *resolved) (list []string) {
	for _, name := range names(after.byName) {
		if !slices.Equal(before.byName[name], after.byName[name]) {
			list = append(list, name)
		}
	}
	return list
}

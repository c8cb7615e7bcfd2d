package vault

import (
	"context"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Age says how long a secret of a plan has been in use.
type Age struct {
	Name        string // of the secret in the plan
	Reference   string // where it is: env:NAME, file:PATH, …
	Fingerprint string // Secret.Fingerprint
	First       bool   // it is the one that is used; others are only accepted
	Since       time.Time
	DueAt       time.Time // when it has to be replaced; zero: the plan does not say
	Overdue     bool
}

// Ages says how old the plan's secrets are at now: since when each value has
// been seen. A value that was never seen is new. It is pure.
func (s *Secrets) Ages(seen []integration.SecretSighting, now time.Time) []Age {
	since := make(map[[2]string]time.Time, len(seen))
	for _, v := range seen {
		since[[2]string{v.Name, v.Fingerprint}] = v.FirstSeen
	}
	every := time.Duration(s.plan.Auth.RotateEvery)
	current := s.current.Load()
	var list []Age
	for _, name := range names(s.plan.Environments[s.environment].Secrets) {
		first := true
		for _, reference := range s.plan.Environments[s.environment].Secrets[name] {
			for _, secret := range current.byReference[reference] {
				a := Age{Name: name, Reference: reference, Fingerprint: secret.Fingerprint(), First: first, Since: now}
				first = false
				if at, ok := since[[2]string{name, a.Fingerprint}]; ok {
					a.Since = at
				}
				if every > 0 {
					a.DueAt = a.Since.Add(every)
					a.Overdue = !now.Before(a.DueAt)
				}
				list = append(list, a)
			}
		}
	}
	return list
}

// Sightings is where it is kept when secrets were first seen. A store is one.
type Sightings interface {
	SeeSecrets(ctx context.Context, seen []integration.SecretSighting) error
	SecretSightings(ctx context.Context, service, environment string) ([]integration.SecretSighting, error)
}

// Ageing watches the age of a plan's secrets (R2.9).
type Ageing struct {
	Secrets *Secrets
	Kept    Sightings
	Log     *slog.Logger // an overdue secret is an error with alert=true, once a day
	// Every is how often Run looks. Zero means an hour.
	Every time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	told map[string]time.Time
}

// Look writes down which secrets are there, and says how old each is.
func (a *Ageing) Look(ctx context.Context) ([]Age, error) {
	now := a.now()
	s := a.Secrets
	seen, err := a.Kept.SecretSightings(ctx, s.plan.Service, s.environment)
	if err != nil {
		return nil, err
	}
	ages := s.Ages(seen, now)
	sightings := make([]integration.SecretSighting, len(ages))
	for i, age := range ages {
		sightings[i] = integration.SecretSighting{
			Service: s.plan.Service, Environment: s.environment, Name: age.Name, Fingerprint: age.Fingerprint, Reference: age.Reference, FirstSeen: age.Since, LastSeen: now,
		}
	}
	if len(sightings) == 0 {
		return nil, nil
	}
	return ages, a.Kept.SeeSecrets(ctx, sightings)
}

// Run looks until ctx ends, and tells of what is overdue.
func (a *Ageing) Run(ctx context.Context) {
	every := a.Every
	if every <= 0 {
		every = time.Hour
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ages, err := a.Look(ctx)
		if err != nil && ctx.Err() == nil {
			a.Log.Error("secrets.age", "service", a.Secrets.plan.Service, "error", err)
		}
		a.tell(ages)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *Ageing) tell(ages []Age) {
	now := a.now()
	if a.told == nil {
		a.told = map[string]time.Time{}
	}
	for _, age := range ages {
		key := age.Name + " " + age.Fingerprint
		if !age.Overdue || now.Sub(a.told[key]) < 24*time.Hour {
			continue
		}
		a.told[key] = now
		a.Log.Error("secret.overdue", "alert", true, "service", a.Secrets.plan.Service, "environment", a.Secrets.environment,
			"secret", age.Name, "reference", age.Reference, "fingerprint", age.Fingerprint, "since", age.Since, "due", age.DueAt,
			"hint", "replace it: sallyport secrets replace "+a.Secrets.plan.Service+" "+age.Name)
	}
}

func (a *Ageing) now() time.Time {
	if a.Now == nil {
		return time.Now().UTC()
	}
	return a.Now().UTC()
}

package sallyport

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/conflict"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// How often calls of unknown outcome are looked for, the longest wait between
// two looks at one of them, and how many are looked at in one go.
const (
	settleEvery  = time.Minute
	settleSeldom = time.Hour
	settleMost   = 100
)

// settle finds out what became of calls of unknown outcome, where the plan says
// how (R4.7, on_unknown). One that happened is settled; one that certainly did
// not is queued again, unless it is irreversible: that stays a person's. What
// stays unknown is looked at again, more and more seldom.
func (a *App) settle(ctx context.Context, s *service) {
	if !settles(s.plan) {
		return
	}
	next := map[string]time.Time{}
	waited := map[string]time.Duration{}
	ticker := time.NewTicker(settleEvery)
	defer ticker.Stop()
	for {
		if err := a.settleOnce(ctx, s, next, waited); err != nil && ctx.Err() == nil {
			a.config.Log.Warn("settle.failed", "service", s.plan.Service, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func settles(p *plan.Plan) bool {
	for _, e := range p.Endpoints {
		if e != nil && e.OnUnknown != nil {
			return true
		}
	}
	return false
}

func (a *App) settleOnce(ctx context.Context, s *service, next map[string]time.Time, waited map[string]time.Duration) error {
	list, _, err := a.store.Calls(ctx, integration.Filter{Service: s.plan.Service, Status: string(integration.CallUnknown), Limit: settleMost})
	if err != nil {
		return err
	}
	now := a.config.Now()
	for i := range list {
		if now.Before(next[list[i].ID]) || !s.calls.Settles(&list[i]) {
			continue
		}
		wait := min(max(2*waited[list[i].ID], settleEvery), settleSeldom)
		next[list[i].ID], waited[list[i].ID] = now.Add(wait), wait
		c, err := a.store.Call(ctx, list[i].ID)
		if err == nil {
			err = a.settleCall(ctx, s, &c)
		}
		if err != nil && !errors.Is(err, integration.ErrState) {
			return err
		}
	}
	return nil
}

// settleCall looks at one call.
func (a *App) settleCall(ctx context.Context, s *service, c *integration.Call) error {
	found, err := s.calls.Outcome(ctx, c)
	if err != nil {
		return err
	}
	a.config.Log.LogAttrs(ctx, slog.LevelInfo, "call.looked_for", slog.String("service", c.Service), slog.String("call", c.ID),
		slog.String("outcome", string(found.Outcome)), slog.String("why", found.Why), slog.Int("found", len(found.Found)))
	now := a.config.Now().UTC()
	audit := integration.AuditEntry{ID: uuid.Must(uuid.NewV7()).String(), At: now, Actor: "gateway", Target: c.ID, Detail: found.Why}
	switch {
	case found.Outcome == conflict.Happened:
		audit.Action = "call.found"
		return a.store.SettleCall(ctx, c.ID, integration.CallSucceeded, audit)
	case found.Outcome == conflict.NotHappened && c.Effect != string(plan.EffectIrreversible):
		audit.Action = "call.not_found"
		if err := a.store.RequeueCall(ctx, c.ID, now, now.Add(s.plan.Calls.Expire.Or(plan.DefaultExpire)), audit); err != nil {
			return err
		}
		a.queue.Wake()
	}
	return nil
}

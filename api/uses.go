package api

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Uses is the log of which credential was used for what, and by whom (R2.10).
type Uses interface {
	CredentialUses(ctx context.Context, f integration.Filter) (uses []integration.CredentialUse, next string, err error)
}

// UseView is one minute's use of one credential as we show it.
type UseView struct {
	Minute      time.Time `json:"minute" doc:"its beginning"`
	Tenant      string    `json:"tenant,omitempty"`
	Connection  string    `json:"connection,omitempty" doc:"absent for the plan's own credential"`
	Fingerprint string    `json:"fingerprint" doc:"the first eight hex digits of the value's SHA-256; never the value"`
	Endpoint    string    `json:"endpoint,omitempty"`
	Actor       string    `json:"actor" doc:"who asked: the id of an API key, or program"`
	Count       int       `json:"count" doc:"requests in that minute"`
	Refused     int       `json:"refused,omitempty" doc:"how many of them the provider refused the credential for"`
}

// uses answers a list of logs of the kind credential. Without a log it is empty.
func (s *server) uses(ctx context.Context, f integration.Filter, out *logsOutput) error {
	if s.Uses == nil {
		return nil
	}
	uses, next, err := s.Uses.CredentialUses(ctx, f)
	if err != nil {
		return s.failed(err, "list")
	}
	out.Body.Next = next
	out.Body.Uses = make([]UseView, 0, len(uses))
	for i := range uses {
		out.Body.Uses = append(out.Body.Uses, useView(&uses[i]))
	}
	return nil
}

func useView(u *integration.CredentialUse) UseView {
	return UseView{
		Minute: u.Minute, Tenant: u.Tenant, Connection: u.Connection, Fingerprint: u.Fingerprint, Endpoint: u.Endpoint, Actor: u.Actor, Count: u.Count, Refused: u.Refused,
	}
}

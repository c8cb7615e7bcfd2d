package receive

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
)

// Found takes in an event that never came as a webhook and was found in the
// provider's list (R5.14). header and body are what the webhook would have had,
// and tenant is whose account it was found at; empty: the event itself tells.
// It is read and kept as a webhook is, but for the signature: who found it asked
// the provider itself. So a webhook that comes after all is a repeat; fresh says
// that the event was not here before. integration.ErrBusy asks to come again.
func (r *Receiver) Found(ctx context.Context, service, tenant string, header http.Header, body []byte) (e *integration.Event, fresh bool, err error) {
	d, ok := r.doors[service]
	if !ok {
		return nil, false, fmt.Errorf("receive: no webhooks of %q are taken", service)
	}
	start := r.config.Now()
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	in := &extract.Request{Method: http.MethodPost, URL: r.config.PublicURL + Prefix + service, Header: header, Body: body, Config: d.values}
	if e, err = d.event(in, start); err != nil {
		return nil, false, err
	}
	e.ID = integration.NewID(start)
	e.MarkReconciled()
	if tenant != "" {
		e.Tenant = tenant
		if d.byPath != nil {
			e.Source = tenant // as what comes at the tenant's own address
		}
	}
	fresh, err = r.config.Inbox.Accept(context.WithoutCancel(ctx), e)
	if err != nil {
		return e, false, err
	}
	if fresh && e.Status == integration.EventReceived && r.config.Received != nil {
		r.config.Received(e)
	}
	if fresh {
		r.config.Log.LogAttrs(ctx, slog.LevelInfo, "event.found", slog.String("service", service), slog.String("event", e.ID),
			slog.String("external_id", e.ExternalID), slog.String("type", e.Type), slog.String("tenant", e.Tenant), slog.Int("bytes", len(body)))
	}
	return e, fresh, nil
}

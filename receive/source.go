package receive

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/verify"
)

// errNoDoor is an address at which nothing is taken.
var errNoDoor = errors.New("no webhooks are taken at this address")

func doorName(service, source string) string {
	if source == "" {
		return service
	}
	return service + "/" + source
}

// placed sets which address of the plan the door is.
func (d *door) placed(s Service) error {
	d.source = s.Source
	if s.Source == "" {
		d.byPath, d.byAccount, d.keepOf = s.Tenant, s.Account, s.KeepTenant
		if s.Plan.Webhooks.Tenant != plan.TenantByPath {
			d.byPath = nil
		}
		return nil
	}
	source, ok := s.Plan.Webhooks.Sources[s.Source]
	if !ok {
		return fmt.Errorf("the plan has no source %q", s.Source)
	}
	d.fixed, d.byAccount = source.Tenant, s.Account
	return nil
}

// door finds the door of a request. On an error other than errNoDoor it is the
// main one of the service.
func (r *Receiver) door(req *http.Request) (*door, error) {
	rest, ok := strings.CutPrefix(req.URL.Path, Prefix)
	if !ok {
		rest = req.URL.Path
	}
	if d := r.doors[rest]; d != nil {
		return d, nil
	}
	service, last, ok := strings.Cut(rest, "/")
	d := r.doors[service]
	if !ok || d == nil || d.byPath == nil || !aTenant(last) {
		return nil, errNoDoor
	}
	began := time.Now()
	within, cancel := d.untilLate()
	defer cancel()
	secrets, known, err := d.byPath(within, last)
	switch {
	case err != nil && within.Err() != nil:
		return d, fmt.Errorf("the tenant of the address: %w", context.Cause(within))
	case err != nil:
		return d, fmt.Errorf("the tenant of the address: %w", err)
	case !known:
		return nil, errNoDoor
	}
	own := d.of(last, secrets)
	own.patience, own.late = own.patience-time.Since(began), nil
	return own, nil
}

// aTenant reports whether the last part of an address may name a tenant.
func aTenant(name string) bool {
	own := integration.Event{Source: name}
	_, ours := own.Destination()
	return name != "" && len(name) <= maxName && !ours && !strings.ContainsAny(name, "/\x00")
}

// of is the door of one tenant. Its events have the tenant as their source: the
// ids of two tenants' accounts may be alike, and nobody may take away another's
// event by sending one with its id first.
func (d *door) of(tenant string, secrets []integration.Secret) *door {
	own := *d
	own.source, own.fixed = tenant, tenant
	if own.keep = nil; d.keepOf != nil {
		own.keep = func(ctx context.Context, secret integration.Secret) error { return d.keepOf(ctx, tenant, secret) }
	}
	if len(secrets) > 0 || d.keepOf != nil {
		own.secrets = func() []integration.Secret { return secrets }
	}
	return &own
}

// tenantOf finds whose account an event names. An account that is nobody's is no
// reason to lose the event: it is kept without a tenant.
func (r *Receiver) tenantOf(ctx context.Context, d *door, in *extract.Request, e *integration.Event) error {
	if len(d.account) == 0 || d.byAccount == nil || e.Tenant != "" {
		return nil
	}
	item := in
	if _, ok := e.Batch(); ok {
		item = &extract.Request{Method: in.Method, URL: in.URL, Header: in.Header, Body: e.Payload, Config: in.Config}
	}
	account, ok := name(item, d.account)
	if !ok {
		return nil
	}
	tenant, err := d.byAccount(ctx, account)
	if err != nil {
		return fmt.Errorf("the tenant of the account: %w", err)
	}
	if tenant == "" {
		r.config.Log.LogAttrs(ctx, slog.LevelWarn, "event.account_unknown", slog.String("service", d.service), slog.String("event", e.ID), slog.String("account", account))
	}
	e.Tenant = tenant
	return nil
}

// forwarded reports whether the request comes from a forwarder that is trusted.
func (r *Receiver) forwarded(req *http.Request) bool {
	if len(r.config.Forwarders) == 0 {
		return false
	}
	peer, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return false
	}
	for _, network := range r.config.Forwarders {
		if network.Contains(peer.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// certificateHeaders are where forwarders pass on a client certificate: RFC 9440,
// Envoy, nginx as it is usually set up.
var certificateHeaders = [...]string{"Client-Cert", "X-Forwarded-Client-Cert", "Ssl-Client-Cert"}

// certificate is what the sender proved itself with, nil for nothing.
func (r *Receiver) certificate(req *http.Request) *x509.Certificate {
	if r.config.Certificate != nil {
		return r.config.Certificate(req)
	}
	if r.forwarded(req) { // its own certificate is not the sender's
		for _, name := range certificateHeaders {
			if value := req.Header.Get(name); value != "" {
				if certificate, err := verify.ForwardedCertificate(value); err == nil {
					return certificate
				}
				return nil
			}
		}
		return nil
	}
	if req.TLS != nil && len(req.TLS.PeerCertificates) > 0 {
		return req.TLS.PeerCertificates[0]
	}
	return nil
}

// publicURL is the address the provider called, as it knows it.
func (r *Receiver) publicURL(req *http.Request) string {
	if r.config.PublicURL != "" {
		return r.config.PublicURL + req.URL.RequestURI()
	}
	scheme, host := "http", req.Host
	if req.TLS != nil {
		scheme = "https"
	}
	if r.forwarded(req) {
		if proto := nearest(req.Header.Get("X-Forwarded-Proto")); proto == "http" || proto == "https" {
			scheme = proto
		}
		if given := nearest(req.Header.Get("X-Forwarded-Host")); given != "" {
			host = given
		}
	}
	return scheme + "://" + host + req.URL.RequestURI()
}

// nearest is what the forwarder next to us wrote: the last of a list.
func nearest(list string) string {
	return strings.ToLower(strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:]))
}

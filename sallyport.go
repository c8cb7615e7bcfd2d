// Package sallyport embeds the gateway in a Go program: it reads plan files,
// receives and delivers the provider's webhooks, and makes calls as the plans
// say. The sallyport binary is its first user.
//
//	app, err := sallyport.New(ctx, sallyport.Config{Plans: "integrations", Environment: "development"})
//	err = app.On("stripe", "invoice.paid", func(ctx context.Context, e sallyport.Event) error { … })
//	client, err := app.Client("stripe", "acme") // an *http.Client: credential, limits and retries inside
//	err = app.Serve(ctx, listener)              // or mount app.Handler() and call app.Run(ctx)
//
// This package is the only place that wires the parts together.
package sallyport

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// Config is what an App needs. Only Plans must be set.
type Config struct {
	// Plans is a folder; every *.yaml file in it is a plan.
	Plans string
	// Environment picks one environment of every plan. Empty means "development".
	Environment string
	// Database is where events and calls are kept: "sqlite:PATH", or
	// "postgres://…" for a database that several instances share. Empty means
	// "sqlite:sallyport.db".
	Database string
	// PublicURL is how providers reach the App, without a trailing slash. It
	// matters to providers that sign the address they call. Empty takes the
	// address of each request.
	PublicURL string
	// BodyLimit is the largest body of an API request, in bytes. Zero means 1 MB.
	BodyLimit int64
	// WebhookLimit is the largest body of a webhook, in bytes, inflated where it
	// is compressed. Zero means 25 MB.
	WebhookLimit int64
	// WebhookMemory is what webhooks of more than 64 kB may hold together while
	// they are under way; further ones are answered 503. Zero means 256 MB.
	WebhookMemory int64
	// Forwarders are the networks of the proxies in front of the App whose
	// X-Forwarded-Proto and X-Forwarded-Host, and whose client certificates passed
	// on in a header, are believed. Empty: nobody's are.
	Forwarders []netip.Prefix
	// ProxyBodyLimit is the largest body of a proxied request, in bytes; they are
	// streamed. Zero takes any.
	ProxyBodyLimit int64
	// ProxyDomains are domains whose hosts SERVICE.DOMAIN are proxied at their
	// root, for SDKs that take no base URL with a path. SERVICE.localhost always
	// is.
	ProxyDomains []string
	// Redis is where instances share limits and breakers: redis://HOST:PORT, or
	// rediss:// for TLS. Nothing is kept there alone. Empty: each for itself.
	Redis string
	// Keyset is where the master key is that tenants' credentials are sealed with:
	// file:PATH, env:NAME, vault-transit:MOUNT/KEY or aws-kms:ARN. Empty makes one
	// beside the database, but not in production.
	Keyset string
	// ErasureKeys is a folder of erasure keys, which makes an erased tenant's
	// credentials unreadable in every copy of the database: see
	// vault.ErasureKeys. Empty: there are none.
	ErasureKeys string
	// ReturnURLs are where people may be sent after they connected: whole
	// addresses, or such with * as the end of the path.
	ReturnURLs []string
	// NoRetention keeps everything for ever: what plans say about retention is not
	// acted upon.
	NoRetention bool
	// CallRetention is how long calls are kept after they ended. Zero means
	// DefaultCallRetention; -1 keeps them for ever.
	CallRetention time.Duration
	// MetricsOpen serves /metrics without an API key.
	MetricsOpen bool
	// Queue is how many webhooks may wait for a commit before the door answers
	// 503. Zero means 4096.
	Queue int
	// Workers is how many deliveries are in hand at once. Zero means 32.
	Workers int
	// Grace is how long Run lets deliveries in hand finish when it stops. Zero
	// means 10 seconds.
	Grace time.Duration
	// Redelivery replaces the schedule of waits between deliveries of an event
	// to a destination that fails. Nil means the default schedule, from
	// seconds to hours over about three days.
	Redelivery []time.Duration
	// Log takes one wide record an event, an attempt and a delivery. Nil means
	// slog.Default().
	Log *slog.Logger
	// LookupEnv resolves env: references. Nil means os.LookupEnv.
	LookupEnv func(name string) (string, bool)
	// Version is what /healthz and the OpenAPI document say of the program.
	// Empty means the version of this module.
	Version string
	// Now is the clock and Dice a number in [0, 1) for jitter. Nil means the
	// real ones.
	Now  func() time.Time
	Dice func() float64
}

func (c Config) withDefaults() Config {
	set := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	set(&c.Environment, "development")
	set(&c.Database, "sqlite:sallyport.db")
	set(&c.Version, Version())
	if c.BodyLimit == 0 {
		c.BodyLimit = 1_000_000
	}
	if c.CallRetention == 0 {
		c.CallRetention = DefaultCallRetention
	}
	if c.Queue == 0 {
		c.Queue = 4096
	}
	if c.Workers == 0 {
		c.Workers = 32
	}
	if c.Grace == 0 {
		c.Grace = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.LookupEnv == nil {
		c.LookupEnv = os.LookupEnv
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Dice == nil {
		c.Dice = rand.Float64
	}
	return c
}

// loadPlans reads every plan of the folder. The error lists the problems of
// all files, not of the first only.
func loadPlans(folder string) ([]*plan.Plan, error) {
	if folder == "" {
		return nil, errors.New("no folder of plans was named")
	}
	if _, err := os.Stat(folder); err != nil {
		return nil, fmt.Errorf("plans: %w; write one with: sallyport plan stripe --need \"…\"", err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no plan (*.yaml); write one with: sallyport plan stripe --need \"…\" --out %s", folder, folder)
	}
	slices.Sort(files)
	var plans []*plan.Plan
	var problems []error
	from := map[string]string{}
	for _, file := range files {
		p, err := plan.Load(file, catalog.Load)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if other, ok := from[p.Service]; ok {
			problems = append(problems, fmt.Errorf("%s: service %q stands in %s already", file, p.Service, other))
			continue
		}
		from[p.Service] = file
		plans = append(plans, p)
	}
	return plans, errors.Join(problems...)
}

package demo

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/sandbox"
	"github.com/sallyport/sallyport/store/sqlite"
)

// secrets are made anew for each run and never printed.
type secrets struct {
	apiKey, webhook, app string
	admin                integration.Secret // key of the gateway's API
}

func (s *secrets) make() {
	random := make([]byte, 24)
	_, _ = rand.Read(random) // never fails
	s.apiKey = "sk_test_" + hex.EncodeToString(random)
	_, _ = rand.Read(random)
	s.webhook = "whsec_" + hex.EncodeToString(random)
	_, _ = rand.Read(random)
	s.app = "whsec_" + base64.StdEncoding.EncodeToString(random)
}

// lookup resolves the plan's references to the secrets of this run.
func (s *stage) lookup(name string) (string, bool) {
	environment := s.plan.Environments["development"]
	for secret, value := range map[string]string{"api_key": s.secrets.apiKey, "webhook_secret": s.secrets.webhook} {
		for _, reference := range environment.Secrets[secret] {
			if reference == "env:"+name {
				return value, true
			}
		}
	}
	for _, d := range s.plan.Destinations {
		if slices.Contains(d.Secret, "env:"+name) {
			return s.secrets.app, true
		}
	}
	return "", false
}

// listen takes three free ports of the loopback interface.
func (s *stage) listen() error {
	for _, l := range []*net.Listener{&s.ports.sandbox, &s.ports.gateway, &s.ports.app} {
		var err error
		if *l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	return nil
}

// open starts the sandbox, the app and the gateway.
func (s *stage) open(ctx context.Context) error {
	s.secrets.make()
	// What runs outlives ctx: the summary asks it when the user has ended the
	// traffic. close ends it.
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	s.sandbox, err = sandbox.New(sandbox.Config{
		Plan: s.plan, Document: s.document, Fixtures: s.fixtures, Seed: 1, WebhooksTo: s.gatewayURL("/api/webhooks/stripe"),
		Secrets: sandbox.Secrets{APIKeys: []integration.Secret{integration.NewSecret(s.secrets.apiKey)}, Webhook: integration.NewSecret(s.secrets.webhook)},
	})
	if err != nil {
		return err
	}
	s.app, err = newReceiver(s.secrets.app, func(d delivery) {
		if d.Refused {
			s.narrator.say("app", "%s %s: busy, answered 503", d.Type, faint.Render(d.ID))
		}
	})
	if err != nil {
		return err
	}
	s.serve(s.ports.sandbox, s.sandbox)
	s.serve(s.ports.app, s.app)
	s.run(func() error { return s.sandbox.Run(ctx) })

	database := filepath.Join(s.config.Folder, "sallyport.db")
	if err := s.makeKey(ctx, database); err != nil {
		return err
	}
	gateway, err := sallyport.New(ctx, sallyport.Config{
		Plans: filepath.Join(s.config.Folder, "integrations"), Environment: "development", Database: "sqlite:" + database,
		LookupEnv: s.lookup, Log: slog.New(s.narrator), Grace: 2 * time.Second,
		Redelivery: []time.Duration{400 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second},
	})
	if err != nil {
		return err
	}
	s.run(func() error { return gateway.Serve(ctx, s.ports.gateway) })
	s.gateway = &client{base: s.gatewayURL(""), key: s.secrets.admin}
	s.narrator.say("plan", "sandbox, gateway on SQLite and a receiving app are up")
	return nil
}

// makeKey makes an API key as "sallyport keys new" would.
func (s *stage) makeKey(ctx context.Context, database string) error {
	store, err := sqlite.Open(ctx, database, sqlite.Options{})
	if err != nil {
		return err
	}
	secret, key := api.NewKey("demo", integration.ScopeAdmin, time.Now())
	s.secrets.admin = secret
	err = store.CreateKey(ctx, key, integration.AuditEntry{ID: key.ID, At: time.Now(), Actor: "demo", Action: "key.create", Target: key.ID})
	err = errors.Join(err, store.Close())
	return errors.Join(err, os.WriteFile(filepath.Join(s.config.Folder, keyFile), []byte(secret.Reveal()), 0o600))
}

// keyFile holds the key of the gateway's API, so that a person can look around
// and the key need not be printed.
const keyFile = "admin.key"

func (s *stage) gatewayURL(path string) string {
	return "http://" + s.ports.gateway.Addr().String() + path
}

func (s *stage) serve(l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	s.servers = append(s.servers, server)
	s.run(func() error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
}

func (s *stage) run(f func() error) {
	done := make(chan error, 1)
	s.ended = append(s.ended, done)
	go func() { done <- f() }()
}

// close ends everything, in the order that loses nothing.
func (s *stage) close() {
	if s.stop == nil {
		return
	}
	s.stop()
	s.stop = nil
	for _, server := range s.servers {
		server.Close()
	}
	for _, done := range s.ended {
		if err := <-done; err != nil {
			s.narrator.say("app", "%s", bad.Render(err.Error()))
		}
	}
}

// endpoint finds the plan's name for an operation of the provider.
func (s *stage) endpoint(method, path string) (string, *plan.Endpoint, error) {
	name, _, ok := s.plan.EndpointFor(method, path)
	if !ok {
		return "", nil, fmt.Errorf("the plan has no endpoint for %s %s", method, path)
	}
	return name, s.plan.Endpoints[name], nil
}

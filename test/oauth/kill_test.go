package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
	"github.com/sallyport/sallyport/test/services"
	"github.com/sallyport/sallyport/vault"
)

// The environment of a process that renews a token and is killed on the way.
const (
	killFolder = "SALLYPORT_TEST_FOLDER"
	killAt     = "SALLYPORT_TEST_KILL_AT"
	killServer = "SALLYPORT_TEST_PROVIDER"
	killNow    = "SALLYPORT_TEST_NOW"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(killFolder); folder != "" {
		os.Exit(renewAndDie(folder))
	}
	code := m.Run()
	services.EndShared()
	os.Exit(code)
}

// renewAndDie renews the one connection of a database and is killed at a step,
// as by kill -9. It returns only when something else went wrong.
func renewAndDie(folder string) int {
	ctx := context.Background()
	now, err := time.Parse(time.RFC3339, os.Getenv(killNow))
	if err != nil {
		return 2
	}
	clock := func() time.Time { return now }
	store, err := sqlite.Open(ctx, filepath.Join(folder, "test.db"), sqlite.Options{Now: clock})
	if err != nil {
		return 3
	}
	master, err := vault.OpenKeyset(filepath.Join(folder, "keyset.json"))
	if err != nil {
		return 4
	}
	sealer, err := vault.NewSealer(vault.SealerConfig{Keys: store, Master: master, Now: clock})
	if err != nil {
		return 5
	}
	c, err := connect.New(connect.Config{
		Services: []connect.Service{killService(os.Getenv(killServer))},
		Store:    store, Sealer: sealer, PublicURL: public, Owner: "killed", Now: clock,
		Step: func(step string) {
			if step == os.Getenv(killAt) {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		},
	})
	if err != nil {
		return 6
	}
	_, _ = c.For(ctx, "svc", "acme", "")
	return 7
}

// killService is the service of sandboxStage for zoom, over a socket.
func killService(standIn string) connect.Service {
	p, err := catalog.Load("zoom")
	if err != nil {
		panic(err)
	}
	return connect.Service{
		Name: "svc", Environment: "test", Auth: p.Auth[0], Variables: p.API.Variables, BaseURL: p.API.BaseURL, StandIn: standIn, Transport: http.DefaultTransport,
		Client: func() oauth.Client { return oauth.Client{ID: appID, Secret: integration.NewSecret(appKey)} },
	}
}

// R2.4: a process that is killed at each named step, for real: what lies in the
// file is enough for the next one to go on, or to say that it needs a person.
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range []string{connect.StepLeased, connect.StepIntended, connect.StepAnswered, connect.StepKept} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			s := sandboxStage(t, "zoom")
			id := s.connect("acme", nil)
			server := httptest.NewServer(s.server)
			t.Cleanup(server.Close)
			s.clock.Add(time.Hour)
			if err := s.store.Close(); err != nil { // SQLite is for one process at a time
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), killFolder+"="+s.folder, killAt+"="+step, killServer+"="+server.URL, killNow+"="+s.clock.Now().Format(time.RFC3339))
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
				t.Fatalf("it was not killed: %v %s", err, out)
			}
			s.clock.Add(time.Minute)
			s.reopen()
			got, err := s.For(t.Context(), "svc", "acme", "")
			lost := step == connect.StepAnswered
			var state *connect.StateError
			switch {
			case lost && (!errors.As(err, &state) || state.State != integration.ConnectionNeedsReauth):
				t.Errorf("a token was lost and nobody is told: %v", err)
			case !lost && (err != nil || !s.server.Live(got.Secret.Reveal())):
				t.Errorf("%v; %v", err, s.server.Refused())
			}
			if lost {
				if s.connect("acme", nil) != id {
					t.Error("connecting again changed the id")
				}
			}
			s.secretless()
		})
	}
}

package connect_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/sandbox"
	"github.com/sallyport/sallyport/store/sqlite"
	"github.com/sallyport/sallyport/vault"
)

// A tenant connects, and a call gets its credential.
func ExampleConnections() {
	ctx := context.Background()
	profile, err := catalog.Load("zoom")
	if err != nil {
		panic(err)
	}
	provider, err := sandbox.NewOAuth(sandbox.OAuthConfig{
		Auth: profile.Auth[0], ClientID: "app", ClientSecret: "secret", RedirectURIs: []string{"http://localhost:8080/oauth/callback"},
	})
	if err != nil {
		panic(err)
	}
	stand := httptest.NewServer(provider)
	defer stand.Close()
	folder, err := os.MkdirTemp("", "connect")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	store, err := sqlite.Open(ctx, filepath.Join(folder, "example.db"), sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = store.Close() }()

	connections, err := connect.New(connect.Config{
		PublicURL: "http://localhost:8080", Store: store, Sealer: sealer(folder, store), Owner: "example",
		Services: []connect.Service{{
			Name: "zoom", Environment: "development", Auth: profile.Auth[0], BaseURL: profile.API.BaseURL,
			Transport: http.DefaultTransport, StandIn: stand.URL,
			Client: func() oauth.Client { return oauth.Client{ID: "app", Secret: integration.NewSecret("secret")} },
		}},
	})
	if err != nil {
		panic(err)
	}

	begun, err := connections.Start(ctx, connect.Request{Service: "zoom", Tenant: "acme"})
	if err != nil {
		panic(err)
	}
	ended := connections.Callback(ctx, visit(ctx, begun.URL), "")
	fmt.Println(ended.Outcome)

	credential, err := connections.For(ctx, "zoom", "acme", "")
	if err != nil {
		panic(err)
	}
	call, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.zoom.us/v2/users/me", http.NoBody)
	if err != nil {
		panic(err)
	}
	if _, err := credential.Apply(call); err != nil {
		panic(err)
	}
	fmt.Println(len(call.Header.Get("Authorization")) > len("Bearer "), credential.Secret)
	// Output:
	// connected
	// true [secret]
}

func sealer(folder string, store *sqlite.Store) *vault.Sealer {
	path := filepath.Join(folder, "keyset.json")
	if err := vault.CreateKeyset(path); err != nil {
		panic(err)
	}
	master, err := vault.OpenKeyset(path)
	if err != nil {
		panic(err)
	}
	s, err := vault.NewSealer(vault.SealerConfig{Keys: store, Master: master})
	if err != nil {
		panic(err)
	}
	return s
}

// visit is the person, who says yes.
func visit(ctx context.Context, address string) url.Values {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		panic(err)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		panic(err)
	}
	_ = response.Body.Close()
	back, err := url.Parse(response.Header.Get("Location"))
	if err != nil {
		panic(err)
	}
	return back.Query()
}

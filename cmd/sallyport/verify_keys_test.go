package main

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/verify"
)

// keyServer answers with one key and remembers who was asked for it.
type keyServer struct {
	body  string
	asked []string
}

func (k *keyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	k.asked = append(k.asked, r.URL.String())
	if k.body == "" {
		return nil, errors.New("no route to host")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(k.body)), Request: r}, nil
}

// R5.2: the command fetches the key that the provider publishes, once, from where
// its profile says; with --offline it asks nobody and says what to do.
func TestVerifyFetchesPublishedKeys(t *testing.T) {
	t.Parallel()
	profile, err := catalog.Load("kick")
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := verify.Compile(profile.Webhooks.Verify)
	if err != nil {
		t.Fatal(err)
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	published, err := json.Marshal(map[string]any{"data": map[string]string{"public_key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}})
	if err != nil {
		t.Fatal(err)
	}
	r := &extract.Request{Method: http.MethodPost, URL: "https://hooks.example.com/kick", Body: []byte(`{"a":1}`), Header: http.Header{"Kick-Event-Message-Id": {"1"}, "Kick-Event-Type": {"x"}}}
	signer := integration.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})))
	if err := scheme.Sign(r, signer, time.Now()); err != nil {
		t.Fatal(err)
	}
	const where = "https://api.kick.com/public/v1/public-key"
	for name, c := range map[string]struct {
		body, published string
		offline         bool
		valid           bool
		asked           int
		says            string
	}{
		"genuine": {body: string(r.Body), published: string(published), valid: true, asked: 1, says: "verifies as a webhook of"},
		"forged":  {body: `{"a":2}`, published: string(published), asked: 1, says: "does not verify"},
		"down":    {body: string(r.Body), asked: 1, says: "could not be fetched"},
		"offline": {body: string(r.Body), published: string(published), offline: true, says: "--offline"},
	} {
		headers := map[string]string{}
		for key := range r.Header {
			headers[key] = r.Header.Get(key)
		}
		captured, err := json.Marshal(map[string]any{"method": r.Method, "url": r.URL, "headers": headers, "body": c.body})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "request.json")
		if err := os.WriteFile(file, captured, 0o600); err != nil {
			t.Fatal(err)
		}
		server := &keyServer{body: c.published}
		var out strings.Builder
		ui := &terminal{in: bufio.NewReader(strings.NewReader("")), out: &out, err: &out, noColor: true}
		err = runVerify(t.Context(), ui, "kick", verifyFlags{request: file, output: "text", offline: c.offline, transport: server})
		if exit := new(exitError); c.valid != (err == nil) || err != nil && (!errors.As(err, &exit) || exit.code != 1) {
			t.Errorf("%s: %v", name, err)
		}
		if len(server.asked) != c.asked || c.asked > 0 && server.asked[0] != where {
			t.Errorf("%s: asked %v", name, server.asked)
		}
		if !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %s", name, out.String())
		}
	}
}

// R5.2: what a captured request names is asked only where the profile says that
// keys stand, whatever the request claims.
func TestVerifyAsksNobodyElse(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"https://evil.example/cert.pem", "http://169.254.169.254/latest/meta-data", "https://127.0.0.1/SimpleNotificationService-1.pem"} {
		body := `{"Type":"Notification","Message":"m","MessageId":"1","Timestamp":"2026-11-24T09:00:00Z","TopicArn":"a","SignatureVersion":"1","Signature":"AAAA","SigningCertURL":"` + address + `"}`
		captured, err := json.Marshal(map[string]any{"method": "POST", "url": "https://hooks.example.com/sns", "headers": map[string]string{}, "body": body})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "request.json")
		if err := os.WriteFile(file, captured, 0o600); err != nil {
			t.Fatal(err)
		}
		server := &keyServer{}
		var out strings.Builder
		ui := &terminal{in: bufio.NewReader(strings.NewReader("")), out: &out, err: &out, noColor: true}
		err = runVerify(t.Context(), ui, "aws-sns", verifyFlags{request: file, output: "text", transport: server})
		if err == nil || len(server.asked) > 0 {
			t.Errorf("%s: %v, asked %v", address, err, server.asked)
		}
	}
}

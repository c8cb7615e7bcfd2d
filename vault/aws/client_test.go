package aws_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/sallyport/sallyport/vault"
	"github.com/sallyport/sallyport/vault/aws"
)

var _ vault.Master = (*aws.Key)(nil)

const (
	keyID  = "AKIDEXAMPLE"
	secret = "canary-aws-secret"
)

var scope = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$`)

// service plays SSM and KMS: it checks the signature by making it again from
// what arrived, and answers as documented.
type service struct {
	t      *testing.T
	secret string
	asked  atomic.Int64
	down   atomic.Bool
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	if s.down.Load() || !s.signed(r, body) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"The request signature we calculated does not match"}`) //nolint:errcheck // the client sees
		return
	}
	var in struct {
		Name, KeyID               string
		WithDecryption            bool
		Plaintext, CiphertextBlob []byte
		EncryptionContext         map[string]string
	}
	if err := json.Unmarshal(body, &in); err != nil {
		s.t.Error(err)
	}
	var out any
	switch target := r.Header.Get("X-Amz-Target"); {
	case target == "AmazonSSM.GetParameter" && in.Name == "/prod/stripe" && in.WithDecryption:
		out = map[string]any{"Parameter": map[string]any{"Name": in.Name, "Type": "SecureString", "Value": "canary-value", "Version": 3}}
	case target == "TrentService.Encrypt":
		out = map[string]any{"CiphertextBlob": slices.Concat([]byte(in.EncryptionContext["sallyport"]+"|"), in.Plaintext), "KeyId": "arn:aws:kms:eu-central-1:1:key/k"}
	case target == "TrentService.Decrypt":
		bound, plain, _ := bytes.Cut(in.CiphertextBlob, []byte("|"))
		if string(bound) != in.EncryptionContext["sallyport"] {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"__type":"InvalidCiphertextException"}`) //nolint:errcheck // the client sees
			return
		}
		out = map[string]any{"Plaintext": plain}
	default:
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"__type":"ParameterNotFound","message":"no such parameter"}`) //nolint:errcheck // the client sees
		return
	}
	json.NewEncoder(w).Encode(out) //nolint:errcheck // the client sees
}

func (s *service) signed(r *http.Request, body []byte) bool {
	m := scope.FindStringSubmatch(r.Header.Get("Authorization"))
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if m == nil || err != nil || m[1] != keyID || m[3] != "eu-central-1" {
		return false
	}
	for _, must := range []string{"host", "x-amz-date", "x-amz-target", "content-type"} {
		if !slices.Contains(strings.Split(m[5], ";"), must) {
			s.t.Errorf("%s is not signed", must)
		}
	}
	again := r.Clone(r.Context())
	again.URL.Scheme, again.URL.Host, again.ContentLength = "http", r.Host, int64(len(body))
	for name := range again.Header {
		if !slices.Contains(strings.Split(m[5], ";"), strings.ToLower(name)) {
			again.Header.Del(name)
		}
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), sdk.Credentials{AccessKeyID: keyID, SecretAccessKey: s.secret}, again, hex.EncodeToString(sum[:]), m[4], m[3], at); err != nil {
		s.t.Error(err)
	}
	return again.Header.Get("Authorization") == r.Header.Get("Authorization")
}

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func open(t *testing.T, s *service, pairs ...string) *aws.Client {
	t.Helper()
	s.t = t
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c, err := aws.New(aws.Config{Lookup: environment(append(pairs, "AWS_REGION", "eu-central-1", "AWS_ENDPOINT_URL", server.URL)...)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// R2.8: a parameter is read with a signed request; a wrong key is refused and
// shown nowhere.
func TestParameter(t *testing.T) {
	t.Parallel()
	c := open(t, &service{secret: secret}, "AWS_ACCESS_KEY_ID", keyID, "AWS_SECRET_ACCESS_KEY", secret)
	got, err := c.Fetch(t.Context(), "/prod/stripe")
	if err != nil || len(got) != 1 || got[0].Reveal() != "canary-value" {
		t.Fatalf("%d, %v", len(got), err)
	}
	if _, err := c.Fetch(t.Context(), "/prod/other"); err == nil || !strings.Contains(err.Error(), "ParameterNotFound") {
		t.Errorf("a parameter that is not there: %v", err)
	}
	wrong := open(t, &service{secret: "another"}, "AWS_ACCESS_KEY_ID", keyID, "AWS_SECRET_ACCESS_KEY", secret)
	if _, err := wrong.Fetch(t.Context(), "/prod/stripe"); err == nil || !strings.Contains(err.Error(), "InvalidSignature") || strings.Contains(err.Error(), "canary") {
		t.Errorf("a wrong signature: %v", err)
	}
	if _, err := aws.New(aws.Config{}); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("no region: %v", err)
	}
}

// R2.7: KMS seals a data key, bound to what it belongs to.
func TestKey(t *testing.T) {
	t.Parallel()
	c := open(t, &service{secret: secret}, "AWS_ACCESS_KEY_ID", keyID, "AWS_SECRET_ACCESS_KEY", secret)
	k, err := c.Key("alias/sallyport")
	if err != nil {
		t.Fatal(err)
	}
	sealed, id, err := k.Wrap(t.Context(), []byte("data key"), []byte("bound"))
	if err != nil || id != "aws-kms:arn:aws:kms:eu-central-1:1:key/k" {
		t.Fatalf("%q, %v", id, err)
	}
	if plain, err := k.Unwrap(t.Context(), sealed, []byte("bound"), id); err != nil || string(plain) != "data key" {
		t.Errorf("%q, %v", plain, err)
	}
	if plain, err := k.Unwrap(t.Context(), sealed, []byte("other"), id); err == nil {
		t.Errorf("bound elsewhere: %q", plain)
	}
	if _, err := k.Unwrap(t.Context(), sealed, []byte("bound"), "12345"); err == nil {
		t.Error("sealed with a keyset: no error")
	}
}

// R2.8: the role of a container and of an instance sign as well; the container's
// token goes to no other machine in the clear.
func TestRoles(t *testing.T) {
	t.Parallel()
	role := http.NewServeMux()
	answer := func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"AccessKeyId":"`+keyID+`","SecretAccessKey":"`+secret+`","Token":"","Expiration":"2099-01-01T00:00:00Z"}`) //nolint:errcheck // the client sees
	}
	role.HandleFunc("GET /container", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "canary-pod" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		answer(w, r)
	})
	role.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "canary-imds") }) //nolint:errcheck // the client sees
	imds := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Aws-Ec2-Metadata-Token") != "canary-imds" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next(w, r)
		}
	}
	role.HandleFunc("GET /latest/meta-data/iam/security-credentials/{$}", imds(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "gateway\n") })) //nolint:errcheck // the client sees
	role.HandleFunc("GET /latest/meta-data/iam/security-credentials/gateway", imds(answer))
	server := httptest.NewServer(role)
	defer server.Close()
	for name, pairs := range map[string][]string{
		"container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI", server.URL + "/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-pod"},
		"instance":  {"AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL},
	} {
		s := &service{secret: secret}
		c := open(t, s, pairs...)
		for range 2 {
			if _, err := c.Fetch(t.Context(), "/prod/stripe"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	c := open(t, &service{secret: secret}, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/x", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-pod")
	if _, err := c.Fetch(t.Context(), "/prod/stripe"); err == nil || !strings.Contains(err.Error(), "neither https") || strings.Contains(err.Error(), "canary") {
		t.Errorf("a token for another machine: %v", err)
	}
}

package verify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/verify"
)

const secret = "whsec_c2FsbHlwb3J0LXRlc3Qtc2VjcmV0" //nolint:gosec // a test value

// signedAt is when the tests' webhooks are signed.
var signedAt = time.Unix(1_700_000_000, 0)

func stripeScheme() catalog.Verification {
	p, err := catalog.Load("stripe")
	if err != nil {
		panic(err)
	}
	return p.Webhooks.Verify
}

func standardScheme() catalog.Verification {
	return catalog.Verification{
		Scheme: "hmac", Header: catalog.OneOrMore{"webhook-signature"}, TimestampHeader: "webhook-timestamp", TimestampUnit: "s",
		Algorithm: "hmac-sha256", Encoding: "base64", SignedContent: "{header:webhook-id}.{timestamp}.{body}",
		KeyEncoding: "base64_after_prefix:whsec_", Format: "v1,{sig} [space-separated list]",
		Parse: &catalog.SignatureParse{ListSep: " ", ItemPrefix: "v1,"}, ToleranceS: 300,
	}
}

func compile(t testing.TB, v catalog.Verification) *verify.Scheme {
	t.Helper()
	s, err := verify.Compile(v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func secrets(list ...string) []integration.Secret {
	var all []integration.Secret
	for _, s := range list {
		all = append(all, integration.NewSecret(s))
	}
	return all
}

func post(body string, headers ...string) *verify.Request {
	r := &verify.Request{Method: http.MethodPost, URL: "https://example.com/hook", Header: http.Header{}, Body: []byte(body)}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// stripeHeader is the header Stripe's own scheme has for a body.
func stripeHeader(at time.Time, body, key string) string {
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// R5.1: the provider's own library signs, we verify.
func TestStripeLibrarySigns(t *testing.T) {
	t.Parallel()
	s := compile(t, stripeScheme())
	body := `{"id":"evt_1","object":"event","type":"invoice.paid"}`
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: secret, Timestamp: signedAt})
	if err := s.Verify(post(body, "Stripe-Signature", signed.Header), secrets("whsec_old", secret), signedAt); err != nil {
		t.Error(err)
	}
	if err := s.Verify(post(body+" ", "Stripe-Signature", signed.Header), secrets(secret), signedAt); !errors.Is(err, verify.ErrMismatch) {
		t.Errorf("a changed body: %v", err)
	}
	if err := s.Verify(post(body, "Stripe-Signature", signed.Header), secrets(secret), signedAt.Add(301*time.Second)); !errors.Is(err, verify.ErrStale) {
		t.Errorf("a late one: %v", err)
	}
}

// R5.1: we sign, the provider's own library verifies.
func TestStripeLibraryVerifies(t *testing.T) {
	t.Parallel()
	s := compile(t, stripeScheme())
	r := post(fmt.Sprintf(`{"id":"evt_1","object":"event","api_version":%q,"type":"invoice.paid","data":{"object":{}}}`, stripe.APIVersion))
	now := time.Now()
	if err := s.Sign(r, integration.NewSecret(secret), now); err != nil {
		t.Fatal(err)
	}
	event, err := webhook.ConstructEvent(r.Body, r.Header.Get("Stripe-Signature"), secret)
	if err != nil || event.ID != "evt_1" {
		t.Errorf("%s: %v", event.ID, err)
	}
	if _, err := webhook.ConstructEvent(r.Body, r.Header.Get("Stripe-Signature"), "whsec_other"); err == nil {
		t.Error("another secret passes")
	}
}

// R5.2: the reference library of Standard Webhooks, both ways.
func TestStandardWebhooksLibrary(t *testing.T) {
	t.Parallel()
	s := compile(t, standardScheme())
	library, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"type":"example"}`
	signature, err := library.Sign("msg_1", signedAt, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	theirs := post(body, "webhook-id", "msg_1", "webhook-timestamp", strconv.FormatInt(signedAt.Unix(), 10), "webhook-signature", "v1a,AAAA v1,Zm9v "+signature)
	if err := s.Verify(theirs, secrets(secret), signedAt); err != nil {
		t.Error(err)
	}
	ours := post(body, "webhook-id", "msg_2")
	if err := s.Sign(ours, integration.NewSecret(secret), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := library.Verify(ours.Body, ours.Header); err != nil {
		t.Error(err)
	}
	ours.Header.Set("webhook-id", "msg_3")
	if err := library.Verify(ours.Body, ours.Header); err == nil {
		t.Error("another id passes")
	}
}

// R5.1: what strangers try with Stripe's scheme.
func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	s := compile(t, stripeScheme())
	body := `{"id":"evt_1"}`
	good := stripeHeader(signedAt, body, secret)
	sig := strings.TrimPrefix(good, "t=1700000000,")
	for name, c := range map[string]struct {
		header []string
		want   error
	}{
		"no header":                 {nil, verify.ErrUnsigned},
		"empty header":              {[]string{""}, verify.ErrUnsigned},
		"nonsense":                  {[]string{"nonsense"}, verify.ErrMalformed},
		"only separators":           {[]string{",,,=,="}, verify.ErrMalformed},
		"no time":                   {[]string{sig}, verify.ErrMalformed},
		"empty time":                {[]string{"t=," + sig}, verify.ErrMalformed},
		"two times":                 {[]string{"t=1700000000,t=1800000000," + sig}, verify.ErrMalformed},
		"time is no number":         {[]string{"t=now," + sig}, verify.ErrMalformed},
		"time with sign":            {[]string{"t=+1700000000," + sig}, verify.ErrMalformed},
		"negative time":             {[]string{"t=-1," + sig}, verify.ErrMalformed},
		"time overflows":            {[]string{"t=99999999999999999999999," + sig}, verify.ErrMalformed},
		"time near the int64 limit": {[]string{"t=9223372036854775807," + sig}, verify.ErrMalformed},
		"time after the year 9999":  {[]string{"t=253402300800," + sig}, verify.ErrMalformed},
		"time in Arabic digits":     {[]string{"t=١٧," + sig}, verify.ErrMalformed},
		"only the test scheme v0":   {[]string{strings.Replace(good, "v1=", "v0=", 1)}, verify.ErrMalformed},
		"signature cut short":       {[]string{good[:len(good)-2]}, verify.ErrMalformed},
		"signature too long":        {[]string{good + "00"}, verify.ErrMalformed},
		"signature empty":           {[]string{"t=1700000000,v1="}, verify.ErrMalformed},
		"signature no hex":          {[]string{"t=1700000000,v1=" + strings.Repeat("zz", 32)}, verify.ErrMalformed},
		"signature of zeros":        {[]string{"t=1700000000,v1=" + strings.Repeat("00", 32)}, verify.ErrMismatch},
		"another time":              {[]string{strings.Replace(good, "t=17", "t=18", 1)}, verify.ErrMismatch},
		"time with leading zero":    {[]string{strings.Replace(good, "t=", "t=0", 1)}, verify.ErrMismatch},
		"other body's signature":    {[]string{stripeHeader(signedAt, body+"x", secret)}, verify.ErrMismatch},
		"signed with the empty key": {[]string{stripeHeader(signedAt, body, "")}, verify.ErrMismatch},
		"too many signatures":       {[]string{good + strings.Repeat(",v1=00", 200)}, verify.ErrMalformed},
		"a megabyte of separators":  {[]string{strings.Repeat(",", 1<<20)}, verify.ErrMalformed},
		"nine headers":              {slices.Repeat([]string{strings.Replace(good, "t=17", "t=18", 1)}, 9), verify.ErrMalformed},
	} {
		r := post(body)
		for _, h := range c.header {
			r.Header.Add("Stripe-Signature", h)
		}
		err := s.Verify(r, secrets("", secret), signedAt)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), secret) || len(err.Error()) > 400) {
			t.Errorf("%s: the error tells too much: %.500q", name, err)
		}
	}
}

// R5.2: what real senders do and must pass.
func TestVerifyAccepts(t *testing.T) {
	t.Parallel()
	s := compile(t, stripeScheme())
	body := `{"id":"evt_1"}`
	good := stripeHeader(signedAt, body, secret)
	zeros := ",v1=" + strings.Repeat("00", 32)
	for name, header := range map[string][]string{
		"upper-case hex":                 {"t=1700000000,v1=" + strings.ToUpper(strings.TrimPrefix(good, "t=1700000000,v1="))},
		"spaces":                         {strings.ReplaceAll(good, ",", " , ")},
		"unknown elements":               {"x,y=z," + good + ",v0=00,v2=zz"},
		"the second of two matches":      {strings.Replace(good, ",", zeros+",", 1)},
		"the first of two matches":       {good + zeros},
		"sent twice, the second matches": {strings.Replace(good, "t=17", "t=18", 1), good},
	} {
		r := post(body)
		for _, h := range header {
			r.Header.Add("Stripe-Signature", h)
		}
		if err := s.Verify(r, secrets("whsec_other", secret), signedAt); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// R5.2: an empty secret, or one that decodes to nothing, never verifies.
func TestSecretsThatVerifyNothing(t *testing.T) {
	t.Parallel()
	body := `{}`
	stripe := compile(t, stripeScheme())
	for _, given := range [][]integration.Secret{nil, {}, secrets(""), {{}, {}}} {
		err := stripe.Verify(post(body, "Stripe-Signature", stripeHeader(signedAt, body, "")), given, signedAt)
		if !errors.Is(err, verify.ErrNoSecret) {
			t.Errorf("%d secrets: %v", len(given), err)
		}
	}
	standard := compile(t, standardScheme())
	empty := standardScheme()
	empty.KeyEncoding = "utf8"
	for _, given := range []string{"whsec_", "whsec_====", "whsec_not base64!"} {
		r := post(body, "webhook-id", "msg_1")
		if err := standard.Sign(r, integration.NewSecret(given), signedAt); !errors.Is(err, verify.ErrNoSecret) {
			t.Errorf("signing with %q: %v", given, err)
		}
		if err := compile(t, empty).Sign(r, integration.NewSecret(given), signedAt); err != nil {
			t.Fatal(err)
		}
		err := standard.Verify(r, secrets(given), signedAt)
		if !errors.Is(err, verify.ErrNoSecret) || strings.Contains(err.Error(), given) {
			t.Errorf("%q: %v", given, err)
		}
		// Beside a good one it is named by its place, and only when nothing matches.
		err = standard.Verify(r, secrets(secret, given), signedAt)
		if !errors.Is(err, verify.ErrMismatch) || !strings.Contains(err.Error(), "secret 2 of 2") || strings.Contains(err.Error(), given) {
			t.Errorf("%q: %v", given, err)
		}
	}
}

// R5.1: one signed message must not be readable as another with a fresher time.
func TestContentCannotBeCutDifferently(t *testing.T) {
	t.Parallel()
	s := compile(t, standardScheme())
	later := signedAt.Add(time.Hour)
	body := fmt.Sprintf(`{"a":"x.%d.{}"}`, later.Unix())
	r := post(body, "webhook-id", "msg_1")
	if err := s.Sign(r, integration.NewSecret(secret), signedAt); err != nil {
		t.Fatal(err)
	}
	forged := post(`{}"}`,
		"webhook-id", fmt.Sprintf(`msg_1.%d.{"a":"x`, signedAt.Unix()),
		"webhook-timestamp", strconv.FormatInt(later.Unix(), 10),
		"webhook-signature", r.Header.Get("webhook-signature"))
	if err := s.Verify(forged, secrets(secret), later); !errors.Is(err, verify.ErrMalformed) {
		t.Errorf("the same bytes, cut differently: %v", err)
	}
	missing := post(body, "webhook-timestamp", r.Header.Get("webhook-timestamp"), "webhook-signature", r.Header.Get("webhook-signature"))
	if err := s.Verify(missing, secrets(secret), signedAt); !errors.Is(err, verify.ErrMalformed) {
		t.Errorf("without the id that is signed too: %v", err)
	}
}

// R5.1: a body that the signature does not cover is refused (Twilio's JSON).
func TestTwilioBodyHash(t *testing.T) {
	t.Parallel()
	s := compile(t, catalog.Verification{
		Scheme: "hmac", Header: catalog.OneOrMore{"X-Twilio-Signature"}, Algorithm: "hmac-sha1", Encoding: "base64",
		SignedContent: "{url}{sorted_form_kv}", KeyEncoding: "utf8",
	})
	body := `{"a":1}`
	sum := sha256.Sum256([]byte(body))
	r := post(body, "Content-Type", "application/json")
	if err := s.Sign(r, integration.NewSecret("token"), signedAt); err == nil {
		t.Error("signed a body that nothing covers")
	}
	r.SetURL(r.URL + "?bodySHA256=" + hex.EncodeToString(sum[:]))
	if err := s.Sign(r, integration.NewSecret("token"), signedAt); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(r, secrets("token"), signedAt); err != nil {
		t.Error(err)
	}
	r.SetBody([]byte(`{"a":2}`))
	if err := s.Verify(r, secrets("token"), signedAt); !errors.Is(err, verify.ErrMalformed) {
		t.Errorf("another body: %v", err)
	}
}

// R5.2: in a batch of signed items each must match; one signature is not enough.
func TestEveryItemMustMatch(t *testing.T) {
	t.Parallel()
	s := compile(t, catalog.Verification{
		Scheme: "hmac", Header: catalog.OneOrMore{"json:items[].NotificationRequestItem.additionalData.hmacSignature"},
		Algorithm: "hmac-sha256", Encoding: "base64", SignedContent: "{adyen_item}", KeyEncoding: "hex",
	})
	item := `{"NotificationRequestItem":{"pspReference":"%s","amount":{"value":1000,"currency":"EUR"},"success":"true"}}`
	r := post(fmt.Sprintf(`{"items":[`+item+`,`+item+`]}`, "a", "b"))
	if err := s.Sign(r, integration.NewSecret("00ff"), signedAt); err != nil {
		t.Fatal(err)
	}
	signed := string(r.Body)
	if err := s.Verify(r, secrets("00ff"), signedAt); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		body string
		want error
	}{
		"the second changed":   {strings.Replace(signed, `"pspReference":"b"`, `"pspReference":"c"`, 1), verify.ErrMismatch},
		"an unsigned one more": {strings.Replace(signed, `{"items":[`, `{"items":[`+fmt.Sprintf(item, "z")+`,`, 1), verify.ErrUnsigned},
		"none":                 {`{"items":[]}`, verify.ErrUnsigned},
		"no array":             {`{"items":{}}`, verify.ErrUnsigned},
		"no JSON":              {signed[:len(signed)-1], verify.ErrMalformed},
	} {
		if err := s.Verify(post(c.body), secrets("00ff"), signedAt); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// R5.2: the pair of another key id is not ours, even if it would match.
func TestKeyIDMustMatch(t *testing.T) {
	t.Parallel()
	s := compile(t, catalog.Verification{
		Scheme: "hmac", Header: catalog.OneOrMore{"form:bt_signature"}, Algorithm: "hmac-sha1", Encoding: "hex",
		SignedContent: "{form:bt_payload}", KeyEncoding: "sha1_raw", Format: "{key_id}|{sig} [pairs joined by &]",
		Parse: &catalog.SignatureParse{ListSep: "&", PairSep: "|"},
	})
	r := post("bt_payload=abc", "Content-Type", "application/x-www-form-urlencoded")
	if err := s.Sign(r, integration.NewSecret("private"), signedAt); err == nil {
		t.Error("signed without a key id")
	}
	r.Config = map[string]string{"key_id": "ours"}
	if err := s.Sign(r, integration.NewSecret("private"), signedAt); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(r, secrets("private"), signedAt); err != nil {
		t.Error(err)
	}
	r.Config["key_id"] = "theirs"
	if err := s.Verify(r, secrets("private"), signedAt); !errors.Is(err, verify.ErrMalformed) {
		t.Errorf("another key id: %v", err)
	}
}

// R5.2: for any body, time and secret, what is signed verifies with that secret
// among others, and with no other.
func TestSignThenVerify(t *testing.T) {
	t.Parallel()
	schemes := []*verify.Scheme{compile(t, stripeScheme()), compile(t, standardScheme())}
	rapid.Check(t, func(t *rapid.T) {
		s := schemes[rapid.IntRange(0, 1).Draw(t, "scheme")]
		key := "whsec_" + hex.EncodeToString(rapid.SliceOfN(rapid.Byte(), 8, 48).Draw(t, "key"))
		at := time.Unix(rapid.Int64Range(0, 253402300799).Draw(t, "at"), 0)
		drift := time.Duration(rapid.Int64Range(-300, 300).Draw(t, "drift")) * time.Second
		r := post(rapid.String().Draw(t, "body"), "webhook-id", rapid.StringMatching(`[a-zA-Z0-9_-]{1,40}`).Draw(t, "id"))
		if err := s.Sign(r, integration.NewSecret(key), at); err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(r, secrets("whsec_b3RoZXI", key), at.Add(drift)); err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(r, secrets("whsec_b3RoZXI"), at); !errors.Is(err, verify.ErrMismatch) {
			t.Fatalf("with another secret: %v", err)
		}
	})
}

func TestSchemeIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	s := compile(t, stripeScheme())
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			key := fmt.Sprint("whsec_", g%3)
			for i := range 200 {
				body := fmt.Sprintf(`{"id":"evt_%d_%d"}`, g, i)
				r := post(body, "Stripe-Signature", stripeHeader(signedAt, body, key))
				if err := s.Verify(r, secrets(key), signedAt); err != nil {
					t.Error(err)
				}
				if err := s.Verify(r, secrets("whsec_none"), signedAt); !errors.Is(err, verify.ErrMismatch) {
					t.Errorf("another secret: %v", err)
				}
			}
		})
	}
	all.Wait()
}

func ExampleScheme_Verify() {
	scheme, err := verify.Compile(catalog.Verification{
		Scheme: "hmac", Header: catalog.OneOrMore{"X-Hub-Signature-256"}, Algorithm: "hmac-sha256", Encoding: "hex",
		SignedContent: "{body}", KeyEncoding: "utf8", Parse: &catalog.SignatureParse{Prefix: "sha256="},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := &verify.Request{
		Method: http.MethodPost, Body: []byte("Hello, World!"),
		Header: http.Header{"X-Hub-Signature-256": {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}},
	}
	fmt.Println(scheme.Verify(r, []integration.Secret{integration.NewSecret("It's a Secret to Everybody")}, time.Now()))
	r.SetBody([]byte("Hello, world!"))
	fmt.Println(scheme.Verify(r, []integration.Secret{integration.NewSecret("It's a Secret to Everybody")}, time.Now()))
	// Output:
	// <nil>
	// webhook signature does not match: 1 signatures against 1 secrets, a body of 13 bytes
}

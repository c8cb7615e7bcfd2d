package verify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"
)

// bigBody is as large as a typical event: 2.6 KB.
var bigBody = `{"id":"evt_1","object":"event","pad":"` + strings.Repeat("x", 2560) + `"}`

// The target is at most one and a half times BenchmarkBareHMAC.
func BenchmarkVerifyStripe(b *testing.B) {
	s := compile(b, stripeScheme())
	r := post(bigBody, "Stripe-Signature", stripeHeader(signedAt, bigBody, secret))
	keys := secrets(secret)
	b.SetBytes(int64(len(bigBody)))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Verify(r, keys, signedAt); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBareHMAC(b *testing.B) {
	body, key := []byte(bigBody), []byte(secret)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		mac := hmac.New(sha256.New, key)
		mac.Write(body)
		mac.Sum(nil)
	}
}

func BenchmarkVerifyStandardWebhooks(b *testing.B) {
	s := compile(b, standardScheme())
	r := post(bigBody, "webhook-id", "msg_1")
	keys := secrets(secret)
	if err := s.Sign(r, keys[0], signedAt); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(bigBody)))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Verify(r, keys, signedAt); err != nil {
			b.Fatal(err)
		}
	}
}

package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"
)

// secret signs every event of a run.
const secret = "whsec_bench_0123456789abcdef0123"

// The event is a Stripe invoice of about 2.4 KB. It is cut where the id and the
// time of sending stand, so that making the next one costs a copy.
var (
	eventHead              = []byte(`{"id":"`)
	eventMid, eventTail, _ = bytes.Cut([]byte(`","object":"event","account":"acct_1032D82eZvKYlo2C","api_version":"2026-08-26.dahlia","created":1760000000,"livemode":false,"pending_webhooks":1,"type":"invoice.paid","request":{"id":"req_3Qx9ZtLkdIwHu7ix","idempotency_key":"a3c1f5f2-7d0e-4a6b-8b0e-0d9a7c1e2b34"},"data":{"object":`+invoice()+`}}`), []byte(sentMark))
)

// sentMark stands where the time of sending goes, 19 digits.
const sentMark = "SENTSENTSENTSENTSEN"

func invoice() string {
	line := `{"id":"il_%d","object":"line_item","amount":12990,"currency":"eur","description":"1 × Example plan (at €129.90 / month)","discountable":true,"discounts":[],"livemode":false,"metadata":{"order_id":"100234"},"period":{"end":1762592000,"start":1760000000},"quantity":1,"subscription":null,"taxes":[]}`
	lines := []string{}
	for i := range 4 {
		lines = append(lines, fmt.Sprintf(line, i))
	}
	return `{"id":"in_1MtHbELkdIwHu7ixl4OzzPMv","object":"invoice","account_country":"DE","account_name":"Example GmbH","amount_due":51960,"amount_overpaid":0,"amount_paid":51960,"amount_remaining":0,"attempt_count":1,"attempted":true,"auto_advance":false,"billing_reason":"subscription_cycle","collection_method":"charge_automatically","created":1760000000,"currency":"eur","customer":"cus_NffrFeUfNV2Hib","customer_email":"jenny.rosen@example.com","customer_name":"Jenny Rosen","default_payment_method":null,"description":null,"due_date":null,"ending_balance":0,"hosted_invoice_url":null,"livemode":false,"metadata":{"tenant_id":"0c9e6f1e-6f0a-4f5e-9a45-1d1c1a0a7f11","sent_ns":"` + sentMark + `"},"number":"A1B2C3D4-0042","period_end":1760000000,"period_start":1757408000,"status":"paid","subtotal":51960,"total":51960,"lines":{"object":"list","data":[` +
		strings.Join(lines, ",") + `],"has_more":false,"url":"/v1/invoices/in_1MtHbELkdIwHu7ixl4OzzPMv/lines"}}`
}

// signer makes signed requests for one connection; it is not for sharing.
type signer struct {
	mac  hash.Hash
	run  uint32
	head string
	buf  []byte
	body []byte
}

func newSigner(address, path string, run uint32) *signer {
	return &signer{
		mac: hmac.New(sha256.New, []byte(secret)), run: run,
		head: "POST " + path + " HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: application/json\r\nUser-Agent: bench\r\nContent-Length: ",
	}
}

// request returns the bytes of a whole HTTP request carrying event n.
func (s *signer) request(n uint64, now time.Time) []byte {
	s.body = append(s.body[:0], eventHead...)
	s.body = fmt.Appendf(s.body, "evt_%08x%012x", s.run, n)
	s.body = append(s.body, eventMid...)
	s.body = strconv.AppendInt(s.body, now.UnixNano(), 10)
	s.body = append(s.body, eventTail...)
	at := strconv.FormatInt(now.Unix(), 10)
	s.mac.Reset()
	s.mac.Write([]byte(at))
	s.mac.Write([]byte{'.'})
	s.mac.Write(s.body)
	var sum [sha256.Size]byte
	s.buf = append(s.buf[:0], s.head...)
	s.buf = strconv.AppendInt(s.buf, int64(len(s.body)), 10)
	s.buf = append(s.buf, "\r\nStripe-Signature: t="...)
	s.buf = append(s.buf, at...)
	s.buf = append(s.buf, ",v1="...)
	s.buf = hex.AppendEncode(s.buf, s.mac.Sum(sum[:0]))
	s.buf = append(s.buf, "\r\n\r\n"...)
	return append(s.buf, s.body...)
}

package mapping_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/mapping"
	"github.com/sallyport/sallyport/plan"
)

// A charge.succeeded event of 2.6 KB, of the shape Stripe's API reference gives.
const chargeEvent = `{"id":"evt_00000001000000000002","object":"event","account":"acct_1032D82eZvKYlo2C","api_version":"2025-03-31.basil","created":1760000000,"livemode":true,"pending_webhooks":1,"type":"charge.succeeded","request":{"id":"req_3Qx9ZtLkdIwHu7ix","idempotency_key":"a3c1f5f2-7d0e-4a6b-8b0e-0d9a7c1e2b34"},"data":{"object":{"id":"ch_3Qx9ZtLkdIwHu7ix0aBcDeFg","object":"charge","amount":129900,"amount_captured":129900,"amount_refunded":0,"application":null,"application_fee":null,"application_fee_amount":null,"balance_transaction":"txn_3Qx9ZtLkdIwHu7ix0kLmNoPq","billing_details":{"address":{"city":"Berlin","country":"DE","line1":"Hauptstrasse 5","line2":null,"postal_code":"10115","state":null},"email":"jenny.rosen@example.com","name":"Jenny Rosen","phone":"+49301234567","tax_id":null},"calculated_statement_descriptor":"EXAMPLE SHOP","captured":true,"created":1759999998,"currency":"eur","customer":"cus_NffrFeUfNV2Hib","description":"Order 100234 at the example shop","disputed":false,"failure_balance_transaction":null,"failure_code":null,"failure_message":null,"fraud_details":{},"invoice":null,"livemode":true,"metadata":{"order_id":"100234","channel":"web","sent_ns":"1760000000000000000","campaign":"autumn-2025"},"on_behalf_of":null,"outcome":{"advice_code":null,"network_advice_code":null,"network_decline_code":null,"network_status":"approved_by_network","reason":null,"risk_level":"normal","risk_score":32,"seller_message":"Payment complete.","type":"authorized"},"paid":true,"payment_intent":"pi_3Qx9ZtLkdIwHu7ix0rStUvWx","payment_method":"pm_1Qx9ZsLkdIwHu7ixyZaBcDeF","payment_method_details":{"card":{"amount_authorized":129900,"authorization_code":"123456","brand":"visa","checks":{"address_line1_check":"pass","address_postal_code_check":"pass","cvc_check":"pass"},"country":"DE","exp_month":12,"exp_year":2028,"extended_authorization":{"status":"disabled"},"fingerprint":"Xt5EWLLDS7FJjR1c","funding":"credit","incremental_authorization":{"status":"unavailable"},"installments":null,"last4":"4242","mandate":null,"multicapture":{"status":"unavailable"},"network":"visa","network_token":{"used":false},"overcapture":{"maximum_amount_capturable":129900,"status":"unavailable"},"three_d_secure":null,"wallet":null},"type":"card"},"receipt_email":"jenny.rosen@example.com","receipt_number":null,"receipt_url":"https://pay.example.com/receipts/payment/CAcaFwoVYWNjdF8xMDMyRDgyZVp2S1lsbzJD","refunded":false,"review":null,"shipping":null,"source_transfer":null,"statement_descriptor":null,"statement_descriptor_suffix":null,"status":"succeeded","transfer_data":null,"transfer_group":null}}}`

var chargeTable = map[string][]plan.MappingRow{"charge": {
	{External: "id", Internal: "eventId", As: "string"},
	{External: "data.object.id", Internal: "paymentId", As: "string"},
	{External: "data.object.amount", Internal: "amount", As: "decimal", Transform: "money(currency)"},
	{External: "data.object.currency", Internal: "currency", As: "string"},
	{External: "created", Type: "unix", Internal: "createdAt", As: "datetime"},
	{External: "data.object.status", Internal: "status", As: "enum", Values: map[string]string{"succeeded": "PAID", "pending": "PENDING", "failed": "FAILED"}},
	{External: "data.object.billing_details.email", Internal: "email", As: "string"},
	{External: "data.object.billing_details.address.country", Internal: "country", As: "string"},
	{External: "data.object.payment_method_details.card.brand", Internal: "cardBrand", As: "string"},
	{External: "data.object.metadata.order_id", Internal: "orderId", As: "string"},
}}

const chargeMapped = `{"eventId":"evt_00000001000000000002","paymentId":"ch_3Qx9ZtLkdIwHu7ix0aBcDeFg","amount":"1299.00","currency":"eur","createdAt":"2025-10-09T08:53:20Z","status":"PAID","email":"jenny.rosen@example.com","country":"DE","cardBrand":"visa","orderId":"100234"}`

type charge struct {
	EventID   string `json:"eventId"`
	PaymentID string `json:"paymentId"`
	Amount    string `json:"amount"`
	Currency  string `json:"currency"`
	CreatedAt string `json:"createdAt"`
	Status    string `json:"status"`
	Email     string `json:"email"`
	Country   string `json:"country"`
	CardBrand string `json:"cardBrand"`
	OrderID   string `json:"orderId"`
}

var statuses = map[string]string{"succeeded": "PAID", "pending": "PENDING", "failed": "FAILED"}

func eur(cents int64) string {
	b := strconv.AppendInt(nil, cents/100, 10)
	return string(append(b, '.', byte('0'+cents/10%10), byte('0'+cents%10)))
}

// byStruct is what one writes by hand with encoding/json.
func byStruct(raw []byte) ([]byte, error) {
	var e struct {
		ID      string `json:"id"`
		Created int64  `json:"created"`
		Data    struct {
			Object struct {
				ID       string `json:"id"`
				Amount   int64  `json:"amount"`
				Currency string `json:"currency"`
				Status   string `json:"status"`
				Billing  struct {
					Email   string `json:"email"`
					Address struct {
						Country string `json:"country"`
					} `json:"address"`
				} `json:"billing_details"`
				Metadata struct {
					OrderID string `json:"order_id"`
				} `json:"metadata"`
				Method struct {
					Card struct {
						Brand string `json:"brand"`
					} `json:"card"`
				} `json:"payment_method_details"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	o := &e.Data.Object
	return json.Marshal(charge{e.ID, o.ID, eur(o.Amount), o.Currency, time.Unix(e.Created, 0).UTC().Format(time.RFC3339), statuses[o.Status], o.Billing.Email, o.Billing.Address.Country, o.Method.Card.Brand, o.Metadata.OrderID})
}

// handWritten walks over the event once with code made for this one mapping.
// It trusts the sender: it checks neither UTF-8 nor the syntax of what it skips,
// nor repeated names. It is the floor the compiled rows are held against.
type handWritten struct {
	d []byte
	i int
	c charge
}

var errHand = errors.New("malformed")

func (h *handWritten) str() string {
	start := h.i + 1
	i := start
	for {
		n := bytes.IndexByte(h.d[i:], '"')
		i += n
		if h.d[i-1] != '\\' {
			break
		}
		i++
	}
	h.i = i + 1
	return string(h.d[start:i])
}

func (h *handWritten) skip() {
	switch h.d[h.i] {
	case '"':
		for h.i++; h.d[h.i] != '"'; h.i++ {
			if h.d[h.i] == '\\' {
				h.i++
			}
		}
		h.i++
	case '{', '[':
		depth := 0
		for {
			switch h.d[h.i] {
			case '"':
				h.skip()
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			h.i++
			if depth == 0 {
				return
			}
		}
	default:
		for c := h.d[h.i]; c != ',' && c != '}' && c != ']'; c = h.d[h.i] {
			h.i++
		}
	}
}

func (h *handWritten) num() int64 {
	var n int64
	for ; h.d[h.i]-'0' <= 9; h.i++ {
		n = n*10 + int64(h.d[h.i]-'0')
	}
	return n
}

func (h *handWritten) object(on func(name []byte)) {
	h.i++
	for h.d[h.i] != '}' {
		if h.d[h.i] == ',' {
			h.i++
		}
		start := h.i + 1
		h.skip()
		name := h.d[start : h.i-1]
		h.i++
		on(name)
	}
	h.i++
}

func (h *handWritten) run() (out []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errHand
		}
	}()
	c := &h.c
	h.object(func(name []byte) {
		switch string(name) {
		case "id":
			c.EventID = h.str()
		case "created":
			c.CreatedAt = time.Unix(h.num(), 0).UTC().Format(time.RFC3339)
		case "data":
			h.object(func(name []byte) {
				if string(name) == "object" {
					h.object(h.charge)
				} else {
					h.skip()
				}
			})
		default:
			h.skip()
		}
	})
	b := make([]byte, 0, 400)
	for i, f := range [...][2]string{{`{"eventId":"`, c.EventID}, {`,"paymentId":"`, c.PaymentID}, {`,"amount":"`, c.Amount}, {`,"currency":"`, c.Currency}, {`,"createdAt":"`, c.CreatedAt}, {`,"status":"`, c.Status}, {`,"email":"`, c.Email}, {`,"country":"`, c.Country}, {`,"cardBrand":"`, c.CardBrand}, {`,"orderId":"`, c.OrderID}} {
		_ = i
		b = append(append(append(b, f[0]...), f[1]...), '"')
	}
	return append(b, '}'), nil
}

func (h *handWritten) charge(name []byte) {
	c := &h.c
	switch string(name) {
	case "id":
		c.PaymentID = h.str()
	case "amount":
		c.Amount = eur(h.num())
	case "currency":
		c.Currency = h.str()
	case "status":
		c.Status = statuses[h.str()]
	case "billing_details":
		h.object(func(name []byte) {
			switch string(name) {
			case "email":
				c.Email = h.str()
			case "address":
				h.one("country", &c.Country)
			default:
				h.skip()
			}
		})
	case "payment_method_details":
		h.object(func(name []byte) {
			if string(name) == "card" {
				h.one("brand", &c.CardBrand)
			} else {
				h.skip()
			}
		})
	case "metadata":
		h.one("order_id", &c.OrderID)
	default:
		h.skip()
	}
}

func (h *handWritten) one(field string, to *string) {
	h.object(func(name []byte) {
		if string(name) == field {
			*to = h.str()
		} else {
			h.skip()
		}
	})
}

// TestComparators keeps the benchmark honest: all three give the same bytes.
func TestComparators(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile(chargeTable, "charge")
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func([]byte) ([]byte, error){
		"compiled": m.In, "struct": byStruct, "hand": func(b []byte) ([]byte, error) { return (&handWritten{d: b}).run() },
	} {
		got, err := f([]byte(chargeEvent))
		if err != nil || string(got) != chargeMapped {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

// BenchmarkTenFields compares ten fields of a 2.6 KB event by compiled rows, by
// hand-written one-pass code that checks nothing, and by encoding/json. The
// sides take turns within each iteration; compiled/hand and struct/compiled are
// the ratios of the time they took.
func BenchmarkTenFields(b *testing.B) {
	m, err := mapping.Compile(chargeTable, "charge")
	if err != nil {
		b.Fatal(err)
	}
	event := []byte(chargeEvent)
	const each = 200
	var took [4]time.Duration
	sides := []func() ([]byte, error){
		func() ([]byte, error) { return m.In(event) },
		func() ([]byte, error) { return (&handWritten{d: event}).run() },
		func() ([]byte, error) { return byStruct(event) },
	}
	for b.Loop() {
		for i, side := range sides {
			start := time.Now()
			for range each {
				if _, err := side(); err != nil {
					b.Fatal(err)
				}
			}
			took[i] += time.Since(start)
		}
		start := time.Now()
		for range each {
			if !json.Valid(event) {
				b.Fatal("invalid")
			}
		}
		took[3] += time.Since(start)
	}
	n := float64(b.N * each)
	b.ReportMetric(float64(took[0])/n, "ns/compiled")
	b.ReportMetric(float64(took[1])/n, "ns/hand")
	b.ReportMetric(float64(took[2])/n, "ns/struct")
	b.ReportMetric(float64(took[3])/n, "ns/json.Valid")
	b.ReportMetric(float64(took[0])/float64(took[1]), "compiled/hand")
	b.ReportMetric(float64(took[0])/float64(took[2]), "compiled/struct")
}

func BenchmarkIn(b *testing.B) {
	m, err := mapping.Compile(chargeTable, "charge")
	if err != nil {
		b.Fatal(err)
	}
	event := []byte(chargeEvent)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.In(event); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOut(b *testing.B) {
	m, err := mapping.Compile(chargeTable, "charge")
	if err != nil {
		b.Fatal(err)
	}
	mapped := []byte(strings.Clone(chargeMapped))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Out(mapped); err != nil {
			b.Fatal(err)
		}
	}
}

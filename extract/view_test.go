package extract_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"

	"github.com/sallyport/sallyport/extract"
)

const soap = `<?xml version="1.0"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>
<notifications><OrganizationId>00D1</OrganizationId><Notification><Id>04l1</Id><sObject xsi:type="sf:Account"/></Notification>
<Notification><Id> 04l2 </Id><sObject xsi:type="sf:Lead"><Id>x</Id></sObject></Notification></notifications></soapenv:Body></soapenv:Envelope>`

// R5.4: ids and types are read where a provider sends no plain JSON.
func TestViews(t *testing.T) {
	t.Parallel()
	form := func(key, value string) *extract.Request {
		return &extract.Request{
			Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, Body: []byte(url.Values{key: {value}}.Encode()),
		}
	}
	plain := func(body string) *extract.Request { return &extract.Request{Body: []byte(body)} }
	encoded := base64.StdEncoding.EncodeToString([]byte("<notification><kind>canceled</kind></notification>")) + "\n"
	for _, c := range []struct {
		path    string
		request *extract.Request
		want    string
		ok      bool
	}{
		{"xml:Envelope.Body.notifications.OrganizationId", plain(soap), "00D1", true},
		{"xml:Envelope.Body.notifications.Notification.Id", plain(soap), `["04l1","04l2"]`, true},
		{"xml:Envelope.Body.notifications.Notification.sObject@type", plain(soap), `["sf:Account","sf:Lead"]`, true},
		{"xml:Envelope.Body.Id", plain(soap), "", false},
		{"xml:a.b", plain("<a><b>1</b>"), "", false}, // cut short
		{"xml:a.b", plain(`{"a":1}`), "", false},
		{"xml:a.b", plain(`<!DOCTYPE a [<!ENTITY x "y">]><a><b>&x;</b></a>`), "", false},
		{"member:!update_id", plain(`{"update_id":1,"message":{}}`), "message", true},
		{"member:!update_id", plain(`{"update_id":1}`), "", false},
		{"member:!a", plain(`["a"]`), "", false},
		{"jwt:data>json:a", plain("x." + base64.RawURLEncoding.EncodeToString([]byte(`{"data":"{\"a\":1}"}`)) + ".y"), "1", true},
		{"jwt:data", plain("x.%.y"), "", false},
		{"jwt:data", plain("x.y"), "", false},
		{"text:updated", plain(""), "updated", true},
		{"form:payload>json:id", form("payload", `{"id":7}`), "7", true},
		{"form:payload>json:id", form("other", `{"id":7}`), "", false},
		{"form:p>base64>xml:notification.kind", form("p", encoded), "canceled", true},
		{"form:p>base64>xml:notification.kind", form("p", "%%%"), "", false},
		{"json:a>json:b>json:c", plain(`{"a":"{\"b\":\"{\\\"c\\\":3}\"}"}`), "3", true},
		{"json:a>b", plain(`{"a>b":1}`), "1", true}, // a key
	} {
		p, err := extract.Parse(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		if got, ok := p.Value(c.request); got != c.want || ok != c.ok {
			t.Errorf("%s: %q %v, want %q %v", c.path, got, ok, c.want, c.ok)
		}
	}
	for _, wrong := range []string{"xml:a..b", "xml:a@", "member:a", "member:!", "form:a>header:b", "form:>json:a", "form:a>base64>query:b"} {
		if _, err := extract.Parse(wrong); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}

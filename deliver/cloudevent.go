package deliver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/integration"
)

// cloudEvent is the body of a delivery: a CloudEvent in the JSON format
// (CloudEvents 1.0.2 and its JSON event format, sections 2 and 3). Data that is
// JSON is embedded to the byte; anything else goes into data_base64. It is
// written by hand because an encoder would read the whole payload again.
func cloudEvent(e integration.Event, data []byte) []byte {
	out := make([]byte, 0, len(data)+512)
	out = append(out, `{"specversion":"1.0","id":`...)
	out = gjson.AppendJSONString(out, e.ID)
	out = append(out, `,"source":`...)
	out = gjson.AppendJSONString(out, "sallyport/"+e.Service)
	out = append(out, `,"type":`...)
	out = gjson.AppendJSONString(out, eventType(e))
	if e.Subject != "" {
		out = append(out, `,"subject":`...)
		out = gjson.AppendJSONString(out, e.Subject)
	}
	if !e.OccurredAt.IsZero() {
		out = append(out, `,"time":"`...)
		out = e.OccurredAt.UTC().AppendFormat(out, time.RFC3339Nano)
		out = append(out, '"')
	}
	if e.Tenant != "" {
		out = append(out, `,"tenant":`...)
		out = gjson.AppendJSONString(out, e.Tenant)
	}
	if origin := e.Origin(); origin != "" { // an extension: it did not come as a webhook (R5.14)
		out = append(out, `,"sallyportorigin":`...)
		out = gjson.AppendJSONString(out, origin)
	}
	if e.Stale { // an extension: a later one of its subject went before it (R5.11)
		out = append(out, `,"sallyportstale":true`...)
	}
	if e.Replays > 0 { // an extension: a person asked for it again (R5.10)
		out = append(out, `,"sallyportreplay":true`...)
	}
	if e.Gone { // an extension: data is the event's own, as there was nothing to fetch (R5.13)
		out = append(out, `,"sallyportgone":true`...)
	}
	if e.Echo() { // an extension: a call of ours caused it
		out = append(out, `,"sallyportecho":true`...)
	}
	if gjson.ValidBytes(data) && utf8.Valid(data) {
		out = append(out, `,"datacontenttype":"application/json","data":`...)
		out = append(out, data...)
	} else {
		out = append(out, `,"datacontenttype":`...)
		out = gjson.AppendJSONString(out, contentType(e.Header))
		out = append(out, `,"data_base64":"`...)
		out = base64.StdEncoding.AppendEncode(out, data)
		out = append(out, '"')
	}
	return append(out, '}')
}

func contentType(h http.Header) string {
	if v := h.Get("Content-Type"); v != "" {
		return v
	}
	return "application/octet-stream"
}

// Errors of a destination's signing secret.
var (
	errNoSecret  = errors.New("it has no signing secret")
	errBadSecret = errors.New("its signing secret starts with whsec_ and is no base64 behind it; take another prefix, or base64")
)

// signingKey reads a secret: one that starts with whsec_ is base64 behind it,
// as Standard Webhooks writes them; any other is used as it is.
func signingKey(secret integration.Secret) ([]byte, error) {
	if secret.IsZero() {
		return nil, errNoSecret
	}
	encoded, ok := strings.CutPrefix(secret.Reveal(), "whsec_")
	if !ok {
		return []byte(secret.Reveal()), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, errBadSecret
	}
	return key, nil
}

// signingKeys reads all secrets that are valid now; there must be one.
func signingKeys(secrets []integration.Secret) (keys [][]byte, err error) {
	if len(secrets) == 0 {
		return nil, errNoSecret
	}
	for _, secret := range secrets {
		key, err := signingKey(secret)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// sign adds the three headers of Standard Webhooks (specification, "Signature
// scheme"): HMAC-SHA256 over id, time and body, joined by dots, once with each
// secret, so that a receiver may know the old one or the new one. The id is the
// event's and stays the same over all attempts, so that a receiver can tell a
// repeat. Where the provider's own headers have those names, as in the raw format
// of a provider that signs like this, ours begin with Sallyport-.
func sign(h http.Header, id string, now time.Time, body []byte, secrets []integration.Secret) error {
	keys, err := signingKeys(secrets)
	if err != nil {
		return err
	}
	at := strconv.FormatInt(now.Unix(), 10)
	var signatures []string
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	prefix := ""
	if h.Get("Webhook-Id") != "" || h.Get("Webhook-Timestamp") != "" || h.Get("Webhook-Signature") != "" {
		prefix = "Sallyport-"
	}
	h.Set(prefix+"Webhook-Id", id)
	h.Set(prefix+"Webhook-Timestamp", at)
	h.Set(prefix+"Webhook-Signature", strings.Join(signatures, " "))
	return nil
}

package sandbox

import (
	"crypto/rand"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/tidwall/sjson"
)

// DevicePath is where a person confirms a code; ?user_code=CODE does so at once.
const DevicePath = controlPrefix + "device"

const deviceGrantType = "urn:ietf:params:oauth:grant-type:device_code"

// How long a code of the device flow can be confirmed, and how often may be
// asked whether it was (RFC 8628, section 3.2).
const (
	deviceLife     = 10 * time.Minute
	deviceInterval = 2 * time.Second
)

// deviceGrant is a device flow under way (RFC 8628).
type deviceGrant struct {
	userCode  string
	scopes    []string
	expires   time.Time
	asked     time.Time // when it was last asked for
	confirmed bool
	denied    bool
}

// device begins a device flow.
func (o *OAuth) device(w http.ResponseWriter, r *http.Request) {
	form, ok := o.parameters(r, "")
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.mood.Status != 0:
		w.WriteHeader(o.mood.Status)
		return
	case !ok || form.Get(o.name("client_id")) != o.config.ClientID:
		o.refuse(w, "invalid_client", "the app is not known")
		return
	}
	o.counts.Devices++
	code, letters := "dc_"+rand.Text(), rand.Text()
	d := &deviceGrant{userCode: letters[:4] + "-" + letters[4:8], scopes: o.scopes(form.Get(o.name("scope"))), expires: o.config.Now().Add(deviceLife)}
	o.devices[code] = d
	page := "https://" + r.Host + DevicePath
	if host, _, err := net.SplitHostPort(r.Host); err == nil && r.TLS == nil && net.ParseIP(host).IsLoopback() {
		page = "http://" + r.Host + DevicePath
	}
	answer := `{}`
	for name, value := range map[string]any{
		"device_code": code, "user_code": d.userCode, "verification_uri": page, "verification_uri_complete": page + "?user_code=" + url.QueryEscape(d.userCode),
		"expires_in": int(deviceLife / time.Second), "interval": int(deviceInterval / time.Second),
	} {
		answer, _ = sjson.Set(answer, name, value)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer)
}

// Confirm is the person who types in a code and says yes, or no where the mood
// is so. False: nobody was given that code, or it has expired.
func (o *OAuth) Confirm(userCode string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range o.devices {
		if d.userCode == userCode && o.config.Now().Before(d.expires) {
			d.confirmed, d.denied = !o.mood.Deny, o.mood.Deny
			return true
		}
	}
	return false
}

// confirm is the page where codes are typed in.
func (o *OAuth) confirm(w http.ResponseWriter, r *http.Request) {
	code := r.FormValue("user_code")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	text := `<form><label>Code <input name="user_code"></label> <button>Confirm</button></form>`
	switch {
	case code == "":
	case o.Confirm(code):
		text = "The code " + html.EscapeString(code) + " is confirmed. You can close this page."
	default:
		w.WriteHeader(http.StatusNotFound)
		text = "There is no such code, or it has expired."
	}
	_, _ = fmt.Fprintf(w, "<!doctype html><html lang=\"en\"><title>Confirm a device</title><p>%s</p></html>\n", text)
}

// polled answers whether a device flow was confirmed (RFC 8628, section 3.5).
func (o *OAuth) polled(form url.Values) (answer, code, why string) {
	o.counts.Polls++
	now := o.config.Now()
	d := o.devices[form.Get("device_code")]
	if d == nil {
		return "", "invalid_grant", "the device code was used or never was"
	}
	soon := now.Sub(d.asked) < deviceInterval
	d.asked = now
	switch {
	case !now.Before(d.expires):
		return "", "expired_token", "nobody confirmed the code in time"
	case d.denied:
		return "", "access_denied", "the person said no"
	case d.confirmed:
		delete(o.devices, form.Get("device_code"))
		return o.issue(&grant{scopes: d.scopes}, true), "", ""
	case soon:
		return "", "slow_down", "it was asked for too often"
	}
	return "", "authorization_pending", "nobody has confirmed the code yet"
}

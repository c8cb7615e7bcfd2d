package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Device is a device grant that a person has to confirm (RFC 8628).
type Device struct {
	Code            integration.Secret // for asking; never shown
	UserCode        string             // to be typed in by the person
	VerificationURI string
	CompleteURI     string        // the same with the code in it; may be empty
	Expires         time.Time     // after which it is of no use
	Interval        time.Duration // to wait between two asks
}

// HasDevice reports whether the provider has a device grant.
func (m *Method) HasDevice() bool { return m.oauth.DeviceURL != "" }

// DeviceRequest begins a device grant. The client authenticates as at the token
// address: confidential ones are refused otherwise.
func (m *Method) DeviceRequest(ctx context.Context, a Asker, scopes []string) (*http.Request, error) {
	if m.oauth.DeviceURL == "" {
		return nil, errors.New("auth.oauth.device_url: the provider has no device grant; send the person to the provider instead")
	}
	if a.Client.ID == "" {
		return nil, errNoClient
	}
	form := url.Values{}
	form.Set(m.name("client_id"), a.Client.ID)
	if all := m.Scopes(scopes); len(all) > 0 {
		form.Set(m.name("scope"), strings.Join(all, m.separator()))
	}
	u, err := m.address("auth.oauth.device_url", m.oauth.DeviceURL, a.Client, a.Values)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Accept": {"application/json"}}
	if !a.Client.Secret.IsZero() || !a.Client.Key.IsZero() {
		if err := m.authenticate(header, form, a, u); err != nil {
			return nil, err
		}
	}
	return build(ctx, http.MethodPost, u, header, form, "")
}

// ReadDevice reads the answer to DeviceRequest.
func (m *Method) ReadDevice(answer Answer, now time.Time) (Device, error) {
	members, ok := decode(answer)
	code := members.Get("device_code").String()
	if !ok || answer.Status < 200 || answer.Status > 299 || code == "" {
		return Device{}, m.refusal(answer, members)
	}
	d := Device{
		Code: integration.NewSecret(code), UserCode: text(members.Get("user_code").String()),
		VerificationURI: members.Get("verification_uri").String(), CompleteURI: members.Get("verification_uri_complete").String(),
		Expires: now.Add(15 * time.Minute), Interval: 5 * time.Second, // RFC 8628, section 3.2
	}
	if d.VerificationURI == "" {
		d.VerificationURI = members.Get("verification_url").String() // Google
	}
	for _, address := range []string{d.VerificationURI, d.CompleteURI} {
		u, err := url.Parse(address)
		if err != nil || address != "" && u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			return Device{}, errors.New("the address where the code is to be typed in is not one over https")
		}
	}
	if d.VerificationURI == "" || d.UserCode == "" {
		return Device{}, errors.New("the answer does not say which code is to be typed in, or where")
	}
	if at := moment(members.Get("expires_in"), "seconds", now); !at.IsZero() {
		d.Expires = at
	}
	if s := members.Get("interval").Int(); s > 0 && s < 600 {
		d.Interval = time.Duration(s) * time.Second
	}
	return d, nil
}

// DeviceTokenRequest asks whether the person has confirmed. An Error with
// ReasonPending means not yet; with the code slow_down, five seconds more between
// two asks from now on.
func (m *Method) DeviceTokenRequest(ctx context.Context, a Asker, d Device) (*http.Request, error) {
	form := url.Values{}
	form.Set("grant_type", "urn:ietf:params:oauth:grant-type:device_code")
	form.Set("device_code", d.Code.Reveal())
	form.Set(m.name("client_id"), a.Client.ID)
	return m.tokenRequest(ctx, "auth.oauth.token_url", m.oauth.TokenURL, a, form)
}

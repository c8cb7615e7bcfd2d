package hashicorp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/integration"
)

// Fetch reads the secret that a reference names: MOUNT/PATH#FIELD of a KV
// engine of version 2. A mount of more than one part is written with the API's
// own "data" after it: team/kv/data/PATH#FIELD.
//
// "?versions=2" after the field asks for the versions before the current one as
// well, newest first, so that both are valid while a secret is swapped;
// versions that were deleted are left out.
func (c *Client) Fetch(ctx context.Context, reference string) ([]integration.Secret, error) {
	r, err := parse(reference)
	if err != nil {
		return nil, err
	}
	newest, current, err := c.version(ctx, r, 0)
	if err != nil {
		return nil, err
	}
	list := []integration.Secret{newest}
	for v := current - 1; v > current-r.versions && v > 0; v-- {
		secret, _, err := c.version(ctx, r, v)
		var status *StatusError
		switch {
		case errors.As(err, &status) && status.Status == http.StatusNotFound, errors.Is(err, errNoField):
			continue
		case err != nil:
			return nil, err
		}
		if !slices.Contains(list, secret) {
			list = append(list, secret)
		}
	}
	return list, nil
}

var errNoField = errors.New("the secret has no such field")

type reference struct {
	mount, path, field string
	versions           int
}

var errReference = errors.New("want vault:MOUNT/PATH#FIELD")

func parse(text string) (r reference, err error) {
	text, options, _ := strings.Cut(text, "?")
	where, field, ok := strings.Cut(text, "#")
	if !ok || field == "" {
		return r, errReference
	}
	mount, path, ok := strings.Cut(where, "/data/")
	if !ok {
		mount, path, ok = strings.Cut(where, "/")
	}
	if !ok || mount == "" || path == "" || strings.Contains("/"+where+"/", "/../") || strings.Contains("/"+where+"/", "/./") {
		return r, errReference
	}
	r = reference{mount: mount, path: path, field: field, versions: 1}
	query, err := url.ParseQuery(options)
	if err != nil {
		return r, errReference
	}
	for name, values := range query {
		n, err := strconv.Atoi(values[0])
		if name != "versions" || err != nil || n < 1 || n > 10 {
			return r, fmt.Errorf("%w, and after it nothing but ?versions= with a number from 1 to 10", errReference)
		}
		r.versions = n
	}
	return r, nil
}

// version reads one version of a secret; 0 is the current one.
func (c *Client) version(ctx context.Context, r reference, version int) (secret integration.Secret, got int, err error) {
	var query url.Values
	if version > 0 {
		query = url.Values{"version": {strconv.Itoa(version)}}
	}
	var out struct {
		Data     map[string]any `json:"data"`
		Metadata struct {
			Version int `json:"version"`
		} `json:"metadata"`
	}
	if err := c.do(ctx, http.MethodGet, escape(r.mount)+"/data/"+escape(r.path), query, nil, &out); err != nil {
		return secret, 0, err
	}
	value, ok := out.Data[r.field].(string)
	if !ok || value == "" {
		return secret, 0, fmt.Errorf("%w: %q holds no text", errNoField, r.field)
	}
	return integration.NewSecret(value), out.Metadata.Version, nil
}

// Put writes a new version of a secret with another value in the field that a
// reference names; its other fields stay. When somebody else writes at the same
// time nothing is written. The policy must allow create and update on the path.
func (c *Client) Put(ctx context.Context, reference string, value integration.Secret) error {
	r, err := parse(reference)
	if err != nil {
		return err
	}
	path := escape(r.mount) + "/data/" + escape(r.path)
	var kept struct {
		Data     map[string]json.RawMessage `json:"data"`
		Metadata struct {
			Version int `json:"version"`
		} `json:"metadata"`
	}
	var status *StatusError
	if err := c.do(ctx, http.MethodGet, path, nil, nil, &kept); err != nil && (!errors.As(err, &status) || status.Status != http.StatusNotFound) {
		return err
	}
	if kept.Data == nil {
		kept.Data = map[string]json.RawMessage{}
	}
	text, err := json.Marshal(value.Reveal())
	if err != nil {
		return errors.New("the value can't be written as JSON")
	}
	defer clear(text)
	kept.Data[r.field] = text
	return c.do(ctx, http.MethodPost, path, nil, map[string]any{"data": kept.Data, "options": map[string]int{"cas": kept.Metadata.Version}}, nil)
}

// Transit has the server seal: the key never leaves it. It is a vault.Master.
type Transit struct {
	client     *Client
	mount, key string
}

// Transit returns the key that MOUNT/KEY names; the usual mount is transit.
func (c *Client) Transit(name string) (*Transit, error) {
	i := strings.LastIndex(name, "/")
	t := &Transit{client: c, mount: "transit", key: name[i+1:]}
	if i > 0 {
		t.mount = name[:i]
	}
	if t.key == "" || t.key == "." || t.key == ".." {
		return nil, errors.New("want vault-transit:MOUNT/KEY")
	}
	return t, nil
}

// Name says which key it is.
func (t *Transit) Name() string { return "vault-transit:" + t.mount + "/" + t.key }

// Wrap seals with the current version of the key.
func (t *Transit) Wrap(ctx context.Context, plain, associated []byte) (sealed []byte, key string, err error) {
	var out struct{ Ciphertext string }
	if err := t.client.do(ctx, http.MethodPost, escape(t.mount)+"/encrypt/"+escape(t.key), nil, map[string]string{
		"plaintext": base64.StdEncoding.EncodeToString(plain), "associated_data": base64.StdEncoding.EncodeToString(associated),
	}, &out); err != nil {
		return nil, "", fmt.Errorf("%s: %w", t.Name(), err)
	}
	parts := strings.SplitN(out.Ciphertext, ":", 3) // vault:v1:…
	if len(parts) != 3 {
		return nil, "", fmt.Errorf("%s: the vault's answer is not as documented", t.Name())
	}
	return []byte(out.Ciphertext), t.Name() + ":" + parts[1], nil
}

// Unwrap opens with the version of the key that the ciphertext names.
func (t *Transit) Unwrap(ctx context.Context, sealed, associated []byte, key string) ([]byte, error) {
	if !strings.HasPrefix(key, t.Name()+":") {
		return nil, fmt.Errorf("%s: this was sealed with %s", t.Name(), key)
	}
	var out struct{ Plaintext string }
	if err := t.client.do(ctx, http.MethodPost, escape(t.mount)+"/decrypt/"+escape(t.key), nil, map[string]string{
		"ciphertext": string(sealed), "associated_data": base64.StdEncoding.EncodeToString(associated),
	}, &out); err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name(), err)
	}
	plain, err := base64.StdEncoding.DecodeString(out.Plaintext)
	if err != nil {
		return nil, fmt.Errorf("%s: the vault's answer is not as documented", t.Name())
	}
	return plain, nil
}

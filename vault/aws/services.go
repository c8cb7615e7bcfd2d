package aws

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/integration"
)

// Fetch reads the parameter that a reference names, decrypted: its name, with
// a version or label after a colon if not the current one is meant, or its ARN.
// It is GetParameter of the Systems Manager API.
func (c *Client) Fetch(ctx context.Context, name string) ([]integration.Secret, error) {
	if name == "" {
		return nil, errors.New("want ssm:NAME")
	}
	var out struct{ Parameter struct{ Value string } }
	err := c.do(ctx, "ssm", "AmazonSSM.GetParameter", map[string]any{"Name": name, "WithDecryption": true}, &out)
	if err != nil {
		return nil, err
	}
	if out.Parameter.Value == "" {
		return nil, errors.New("the parameter is empty")
	}
	return []integration.Secret{integration.NewSecret(out.Parameter.Value)}, nil
}

// Key has the Key Management Service seal: the key never leaves it. It is a
// vault.Master.
type Key struct {
	client *Client
	arn    string
}

// Key returns the key of an ARN, a key id or an alias/NAME.
func (c *Client) Key(arn string) (*Key, error) {
	if arn == "" {
		return nil, errors.New("want aws-kms:ARN")
	}
	return &Key{client: c, arn: arn}, nil
}

// Name says which key it is.
func (k *Key) Name() string { return "aws-kms:" + k.arn }

// encryptionContext is the associated data; it stands in the clear in
// CloudTrail, so it is what is bound and nothing else.
func encryptionContext(associated []byte) map[string]string {
	return map[string]string{"sallyport": base64.StdEncoding.EncodeToString(associated)}
}

// Wrap seals with the key.
func (k *Key) Wrap(ctx context.Context, plain, associated []byte) (sealed []byte, key string, err error) {
	var out struct {
		CiphertextBlob []byte
		KeyID          string `json:"KeyId"`
	}
	err = k.client.do(ctx, "kms", "TrentService.Encrypt", map[string]any{"KeyId": k.arn, "Plaintext": plain, "EncryptionContext": encryptionContext(associated)}, &out)
	if err == nil && len(out.CiphertextBlob) == 0 {
		err = errors.New("kms: the answer is not as documented")
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", k.Name(), err)
	}
	if out.KeyID == "" {
		out.KeyID = k.arn
	}
	return out.CiphertextBlob, "aws-kms:" + out.KeyID, nil
}

// Unwrap opens with the key that sealed it.
func (k *Key) Unwrap(ctx context.Context, sealed, associated []byte, key string) ([]byte, error) {
	id, ok := strings.CutPrefix(key, "aws-kms:")
	if !ok {
		return nil, fmt.Errorf("%s: this was sealed with %s", k.Name(), key)
	}
	var out struct{ Plaintext []byte }
	if err := k.client.do(ctx, "kms", "TrentService.Decrypt", map[string]any{"KeyId": id, "CiphertextBlob": sealed, "EncryptionContext": encryptionContext(associated)}, &out); err != nil {
		return nil, fmt.Errorf("%s: %w", k.Name(), err)
	}
	return out.Plaintext, nil
}

package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// listenState is what a listener keeps between two runs.
type listenState struct {
	path   string
	kept   string    // the cursor in the file, as far as this listener knows
	Cursor string    `json:"cursor"` // of the last event it is through with; empty before the first
	At     time.Time `json:"at"`     // when it was through with it
}

// stateFolder is where the state of commands is kept: $XDG_STATE_HOME, or its
// default by the XDG Base Directory Specification.
func (t *terminal) stateFolder() (string, error) {
	if dir := t.getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "sallyport"), nil
	}
	home := t.getenv("HOME")
	if home == "" {
		var err error
		if home, err = os.UserHomeDir(); err != nil {
			return "", fmt.Errorf("there is no home folder to keep the cursor in: %w; set XDG_STATE_HOME", err)
		}
	}
	return filepath.Join(home, ".local", "state", "sallyport"), nil
}

// openListenState reads what a listener of that name kept, or begins anew.
func openListenState(folder, service string, name ...string) (*listenState, error) {
	sum := sha256.Sum256([]byte(strings.Join(name, "\x00")))
	s := &listenState{path: filepath.Join(folder, "listen-"+filepath.Base(filepath.Clean(service))+"-"+hex.EncodeToString(sum[:6])+".json")}
	if err := s.read(); err != nil {
		return nil, err
	}
	s.kept = s.Cursor
	return s, nil
}

// read reads the file; where there is none, nothing changes.
func (s *listenState) read() error {
	b, err := os.ReadFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the listener's state: %w", err)
	}
	if err := json.Unmarshal(b, s); err != nil {
		return fmt.Errorf("%s is no state of a listener: %w; remove it to begin anew", s.path, err)
	}
	return nil
}

// save writes the state so that a crash leaves the old one or the new one. It
// refuses where another listener wrote meanwhile: one of the two would skip what
// the other was through with.
func (s *listenState) save(now time.Time) error {
	other := listenState{path: s.path, Cursor: s.kept}
	if err := other.read(); err != nil {
		return err
	}
	if other.Cursor != s.kept {
		return errors.New("another listener runs that is the same as this one; give one of them a --name of its own")
	}
	s.At, s.kept = now.UTC(), s.Cursor
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeState(s.path, b)
}

// writeState replaces a file as a whole.
func writeState(path string, b []byte) error {
	next, err := temporaryState(path, b)
	if err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		_ = os.Remove(next)
		return fmt.Errorf("the listener's state: %w", err)
	}
	return nil
}

// temporaryState writes a file that is to become another. Nobody else may read it.
func temporaryState(path string, b []byte) (name string, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("the listener's state: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return "", fmt.Errorf("the listener's state: %w", err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", fmt.Errorf("the listener's state: %w", err)
	}
	return f.Name(), nil
}

// listenSecret is what listeners of this user sign with: one for all, so that a
// local server needs to know one whatever is listened to. It is made when it is
// needed first.
func listenSecret(folder string) (string, error) {
	path := filepath.Join(folder, "listen.secret")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		random := make([]byte, 32)
		_, _ = rand.Read(random) // never fails: crypto/rand, Go 1.24
		b, err = newSecret(path, []byte("whsec_"+base64.StdEncoding.EncodeToString(random)+"\n"))
	}
	if err != nil {
		return "", fmt.Errorf("the listener's secret: %w", err)
	}
	secret := strings.TrimSpace(string(b))
	if _, err := standardwebhooks.NewWebhook(secret); err != nil || secret == "" {
		return "", fmt.Errorf("%s holds no secret of Standard Webhooks (whsec_ and base64); remove it to have a new one", path)
	}
	return secret, nil
}

// newSecret puts a secret into the file, unless another listener was faster: then
// it is that one's.
func newSecret(path string, secret []byte) ([]byte, error) {
	next, err := temporaryState(path, secret)
	if err != nil {
		return nil, err
	}
	defer os.Remove(next) //nolint:errcheck // of no use any more
	switch err := os.Link(next, path); {
	case err == nil:
		return secret, nil
	case errors.Is(err, fs.ErrExist):
		return os.ReadFile(path)
	}
	return secret, writeState(path, secret) // a file system without links
}

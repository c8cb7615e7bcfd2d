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
)

// listenState is what a listener keeps between two runs.
type listenState struct {
	path   string
	Cursor string `json:"cursor"` // of the last event it is through with; empty before the first
	Secret string `json:"secret"` // what it signs with
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
	b, err := os.ReadFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("the listener's state: %w", err)
	default:
		if err := json.Unmarshal(b, s); err != nil {
			return nil, fmt.Errorf("%s is no state of a listener: %w; remove it to begin anew", s.path, err)
		}
	}
	if s.Secret == "" {
		random := make([]byte, 32)
		_, _ = rand.Read(random) // never fails: crypto/rand, Go 1.24
		s.Secret = "whsec_" + base64.StdEncoding.EncodeToString(random)
	}
	return s, nil
}

// save writes the state so that a crash leaves the old one or the new one.
func (s *listenState) save() error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("the listener's state: %w", err)
	}
	next := s.path + ".next"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return fmt.Errorf("the listener's state: %w", err)
	}
	if err := os.Rename(next, s.path); err != nil {
		return fmt.Errorf("the listener's state: %w", err)
	}
	return nil
}

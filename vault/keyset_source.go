package vault

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// ErrReadOnly means that the keyset lies where this program can't write it.
var ErrReadOnly = errors.New("can't be changed from here")

// fileKeyset is a keyset in a file.
type fileKeyset string

func (f fileKeyset) name() string { return "file:" + string(f) }

// stamp is size, time and identity of the file: it is replaced as a whole.
func (f fileKeyset) stamp() (string, error) {
	info, err := f.stat()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano()), nil
}

func (f fileKeyset) stat() (fs.FileInfo, error) {
	info, err := os.Stat(string(f))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("keyset %s: there is no such file: %w", f.name(), fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("keyset %s: %w", f.name(), err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("keyset %s: it is no file", f.name())
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("keyset %s: others may read it (mode %04o); run chmod 600 %s", f.name(), info.Mode().Perm(), string(f))
	case info.Size() > maxFile:
		return nil, fmt.Errorf("keyset %s: the file has %d bytes; a keyset has at most %d", f.name(), info.Size(), maxFile)
	}
	return info, nil
}

func (f fileKeyset) read() ([]byte, error) {
	if _, err := f.stat(); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(string(f))
	if err != nil {
		return nil, fmt.Errorf("keyset %s: %w", f.name(), err)
	}
	return b, nil
}

// write replaces the file as a whole: a crash leaves the old or the new.
func (f fileKeyset) write(text []byte) error {
	staged, err := stage(string(f), text)
	if err != nil {
		return fmt.Errorf("keyset %s: %w", f.name(), err)
	}
	if err := os.Rename(staged, string(f)); err != nil {
		return errors.Join(fmt.Errorf("keyset %s: %w", f.name(), err), os.Remove(staged))
	}
	return syncFolder(filepath.Dir(string(f)))
}

func (f fileKeyset) lock() (unlock func() error, err error) { return lockFile(string(f)) }

// stage writes text into a new file of mode 0600 beside path, down to the disk.
func stage(path string, text []byte) (staged string, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// syncFolder makes a new name in a folder survive a power cut.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("keyset: %w", err)
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// environmentKeyset is a keyset in an environment variable, which does not
// change while the program runs.
type environmentKeyset struct {
	variable string
	lookup   Environment
}

func (e *environmentKeyset) name() string { return "env:" + e.variable }

func (e *environmentKeyset) stamp() (string, error) {
	v, _ := e.lookup(e.variable)
	sum := sha256.Sum256([]byte(v))
	return string(sum[:]), nil
}

func (e *environmentKeyset) read() ([]byte, error) {
	v, ok := e.lookup(e.variable)
	if !ok || v == "" {
		return nil, fmt.Errorf("keyset %s: the environment variable %s is not set", e.name(), e.variable)
	}
	return []byte(v), nil
}

func (e *environmentKeyset) write([]byte) error {
	return fmt.Errorf("keyset %s: %w: put it into a file, start with keyset file:PATH, and rotate that", e.name(), ErrReadOnly)
}

func (e *environmentKeyset) lock() (unlock func() error, err error) {
	return func() error { return nil }, nil
}

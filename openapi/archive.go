package openapi

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// isTar reports whether data is a tar archive (POSIX.1-1988, ustar: the magic
// stands at byte 257).
func isTar(data []byte) bool {
	return len(data) >= 512 && bytes.Equal(data[257:262], []byte("ustar"))
}

// archive is the files of an archive by name.
type archive map[string][]byte

// untar reads an archive and finds the document in it: of the files that begin
// one, that which stands highest, then the largest.
func untar(data []byte) (archive, string, error) {
	files := archive{}
	r := tar.NewReader(bytes.NewReader(data))
	room := maxBytes
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, "", fmt.Errorf("openapi: the archive can't be unpacked: %w", err)
		}
		name := path.Clean(h.Name)
		if h.Typeflag != tar.TypeReg || !fs.ValidPath(name) {
			continue
		}
		if len(files) >= maxFiles {
			return nil, "", fmt.Errorf("openapi: the archive has more than %d files", maxFiles)
		}
		content, err := io.ReadAll(io.LimitReader(r, int64(room)+1)) // a sparse file may claim any size
		if err != nil {
			return nil, "", fmt.Errorf("openapi: the archive can't be unpacked: %s: %w", name, err)
		}
		if room -= len(content); room < 0 {
			return nil, "", fmt.Errorf("openapi: the archive: %w", errTooLarge)
		}
		files[name] = content
	}
	var roots []string
	for name, content := range files {
		if isDocument(name) && isRoot(content) {
			roots = append(roots, name)
		}
	}
	if len(roots) == 0 {
		return nil, "", fmt.Errorf(`openapi: none of the %d files of the archive is an API document, with "openapi" or "swagger" at its top`, len(files))
	}
	return files, slices.MinFunc(roots, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(a, "/"), strings.Count(b, "/")), cmp.Compare(len(files[b]), len(files[a])), cmp.Compare(a, b))
	}), nil
}

// isDocument reports whether a file is JSON or YAML by its name.
func isDocument(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".json", ".yaml", ".yml", "":
		return true
	}
	return false
}

// Open makes an archive a file system of regular files.
func (a archive) Open(name string) (fs.File, error) {
	content, ok := a[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &archived{Reader: bytes.NewReader(content), name: path.Base(name), size: len(content)}, nil
}

// archived is one open file of an archive.
type archived struct {
	*bytes.Reader
	name string
	size int
}

// Stat makes it an fs.File.
func (f *archived) Stat() (fs.FileInfo, error) { return archivedInfo{f}, nil }

// Close makes it an fs.File.
func (f *archived) Close() error { return nil }

// archivedInfo tells of an open file.
type archivedInfo struct{ file *archived }

// Name is the last element of the path.
func (i archivedInfo) Name() string { return i.file.name }

// Size is in bytes.
func (i archivedInfo) Size() int64 { return int64(i.file.size) }

// Mode is that of a file anybody may read.
func (archivedInfo) Mode() fs.FileMode { return 0o444 }

// ModTime is not kept.
func (archivedInfo) ModTime() time.Time { return time.Time{} }

// IsDir is false: folders are not kept.
func (archivedInfo) IsDir() bool { return false }

// Sys is nil.
func (archivedInfo) Sys() any { return nil }

package catalog

import (
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

//go:embed documents
var documents embed.FS

// Documents holds the embedded API documents as they are stored, gzipped:
// "stripe/spec3.json.gz", and beside them where they are from and under what
// licence.
func Documents() fs.FS {
	sub, err := fs.Sub(documents, "documents")
	if err != nil {
		return documents // "documents" is a valid path: it can't fail
	}
	return sub
}

// OpenDocument opens an embedded document, unpacked. The name is
// Document.Embedded or Document.Fixtures of a profile; ".gz" may be left out. The
// caller closes it.
func OpenDocument(name string) (io.ReadCloser, error) {
	f, err := Documents().Open(strings.TrimSuffix(name, ".gz") + ".gz")
	if err != nil {
		return nil, fmt.Errorf("no embedded document %q; there are %s", name, strings.Join(documentNames(), ", "))
	}
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("embedded document %s: %w", name, err)
	}
	return &document{Reader: unpacked, file: f}, nil
}

// ReadDocument returns an embedded document whole; see OpenDocument.
func ReadDocument(name string) ([]byte, error) {
	r, err := OpenDocument(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func documentNames() []string {
	names, err := fs.Glob(Documents(), "*/*.gz")
	if err != nil {
		return nil // the pattern is well-formed: it can't fail
	}
	return names
}

// document closes both the unpacker and the file.
type document struct {
	*gzip.Reader
	file fs.File
}

// Close makes it an io.ReadCloser.
func (d *document) Close() error {
	err := d.Reader.Close()
	if closeErr := d.file.Close(); err == nil {
		err = closeErr
	}
	return err
}

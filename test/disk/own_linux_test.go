package disk

import (
	"os"
	"path/filepath"
	"testing"
)

// The small disk is one: it is full when it is, and has room when it grew.
func TestSmallDisk(t *testing.T) {
	t.Parallel()
	d := mount(t, t.TempDir(), megabyte)
	free := d.fill()
	if d.free() != 0 {
		t.Errorf("%d bytes are free on a full disk", d.free())
	}
	if err := os.WriteFile(filepath.Join(d.path, "more"), []byte("x"), 0o600); err == nil {
		t.Error("a full disk took a byte more")
	}
	d.grow(2 * megabyte)
	if d.free() < megabyte {
		t.Errorf("%d bytes are free on a disk that grew", d.free())
	}
	free()
}

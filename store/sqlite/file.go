package sqlite

import (
	"errors"
	"fmt"
	"os"
)

// errFileGone: what is written now would be acknowledged and lost with the
// file that nobody can open any more.
var errFileGone = errors.New("the database file was moved, deleted or replaced; put it back, or restart")

// openFile remembers which file was opened. SQLite goes on writing to a file
// whose name is gone, and every commit succeeds.
type openFile struct {
	path string
	info os.FileInfo
}

// check fails when another file, or none, stands under the name.
func (f *openFile) check() error {
	now, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("%w: %w", errFileGone, err)
	}
	if !os.SameFile(f.info, now) {
		return errFileGone
	}
	return nil
}

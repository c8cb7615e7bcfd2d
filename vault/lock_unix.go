//go:build unix

package vault

import (
	"errors"
	"os"
	"syscall"
)

// lockFile keeps other processes out until unlock is called or this one dies.
// The lock is a file beside the one it is about, which is replaced as a whole;
// it is left there.
func lockFile(path string) (unlock func() error, err error) {
	file, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil
}

//go:build !unix

package vault

// lockFile does nothing: here one process at a time may rotate.
func lockFile(string) (unlock func() error, err error) { return func() error { return nil }, nil }

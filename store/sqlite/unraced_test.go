//go:build !race

package sqlite

// raced says that the race detector makes everything many times slower.
const raced = false

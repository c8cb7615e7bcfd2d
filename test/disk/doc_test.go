// Package disk fills the disk that the gateway or its database writes to, or
// lets it hang, and sees that senders are told to come again, that nothing
// acknowledged is lost or damaged, and that all goes on by itself when the disk
// does (R0.5, R5.6).
//
// The small disks are mounted in a mount namespace of the test process's own, so
// that nobody else sees them and none is left behind. That needs Linux, and
// either root or leave to make user namespaces. Where neither is given the tests
// end the run with a word on what to do, in CI as a failure.
package disk

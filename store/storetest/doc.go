// Package storetest is the suite that every store has to pass: what its users
// rely on, whatever the engine below.
package storetest

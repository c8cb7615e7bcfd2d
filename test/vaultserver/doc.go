// Package vaultserver runs a whole HashiCorp Vault inside the tests and has
// package vault log in, read secrets and seal data keys there. It is a module of
// its own, so that the server's dependencies are nobody else's:
//
//	make test-vault
//
// The server is version 1.13, under the Mozilla Public License.
package vaultserver

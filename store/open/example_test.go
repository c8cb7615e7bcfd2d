package open_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/open"
)

// A DSN picks the engine; what is done with the store is the same on both.
func ExampleDatabase() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "sallyport")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := open.Database(ctx, "sqlite:"+filepath.Join(dir, "sallyport.db"), open.Options{}) // or postgres://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	if err := s.Audit(ctx, integration.AuditEntry{Actor: "me", Action: "look", Target: "around"}); err != nil {
		fmt.Println(err)
		return
	}
	entries, _, err := s.AuditLog(ctx, integration.Filter{})
	fmt.Println(len(entries), entries[0].Action, err)
	// Output: 1 look <nil>
}

package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
)

// An event is stored once, however often it comes.
func ExampleStore_Accept() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "sallyport")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, filepath.Join(dir, "sallyport.db"), sqlite.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	for n := range 2 {
		fresh, err := store.Accept(ctx, &integration.Event{
			ID: fmt.Sprintf("0198f000-0000-7000-8000-00000000000%d", n), Service: "stripe", ExternalID: "evt_1", Type: "invoice.paid",
			ReceivedAt: time.Now(), Payload: []byte(`{"id":"evt_1"}`), Status: integration.EventReceived,
		})
		fmt.Println("fresh:", fresh, err)
	}
	// Output:
	// fresh: true <nil>
	// fresh: false <nil>
}

package lease_test

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/lease/leasetest"
)

// A runner needs a queue, a function that works on one row, and what a panic
// comes to.
func ExampleRunner() {
	queue := &leasetest.Memory{} // in a program: sqlite.Store.EventQueue
	id := queue.Add(time.Now())

	ctx, stop := context.WithCancel(context.Background())
	runner, err := lease.New(lease.Config[leasetest.Item, leasetest.Outcome]{
		Queue: queue,
		Handle: func(_ context.Context, item leasetest.Item) leasetest.Outcome {
			stop() // in a program: on a signal
			return leasetest.Outcome{Note: "delivered " + item.ID}
		},
		Panicked: func(leasetest.Item, any) leasetest.Outcome { return leasetest.Outcome{Note: "gave up"} },
		Released: leasetest.Outcome{Released: true},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	runner.Run(ctx) // until ctx ends and all that was begun is written down

	fmt.Println(queue.State(id).Note)
	// Output: delivered item-1
}

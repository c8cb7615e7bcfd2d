package breaker_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/breaker"
)

func ExampleSet() {
	breakers := breaker.New(breaker.Config{
		Minimum: 4,
		Changed: func(c breaker.Change) { fmt.Printf("%s is %s: %s\n", c.Host, c.State, c.Reason) },
	})
	for range 5 {
		pass, err := breakers.Allow("api.example.com")
		var open *breaker.Open
		if errors.As(err, &open) {
			fmt.Println("not now:", open.Reason)
			break
		}
		pass.Done(breaker.Failure, 20*time.Millisecond) // the call was made and answered 503
	}
	// Output:
	// api.example.com is open: 4 of 4 calls in the last 30s failed
	// not now: 4 of 4 calls in the last 30s failed
}

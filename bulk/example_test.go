package bulk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/bulk"
)

func Example() {
	collector, err := bulk.New(bulk.Config{
		Shape: bulk.Shape{Items: "contacts", Answers: "results", Match: "email", Error: "error"},
		Max:   2, Wait: time.Second,
		Send: func(_ context.Context, _ string, body json.RawMessage) (bulk.Sent, error) {
			// One request to the provider.
			return bulk.Sent{Body: json.RawMessage(`{"results":[
				{"email":"b@example.com","error":"already there"},
				{"email":"a@example.com","id":7}]}`)}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	answers := map[string]string{}
	var mu sync.Mutex
	var callers sync.WaitGroup
	for _, email := range []string{"a@example.com", "b@example.com"} {
		callers.Go(func() {
			got, err := collector.Do(context.Background(), "create_contact tenant-1", json.RawMessage(`{"email":"`+email+`"}`))
			mu.Lock()
			defer mu.Unlock()
			answers[email] = string(got.Body)
			if err != nil {
				answers[email] = err.Error()
			}
		})
	}
	callers.Wait()
	fmt.Println(answers["a@example.com"])
	fmt.Println(answers["b@example.com"])
	// Output:
	// {"email":"a@example.com","id":7}
	// rejected: already there
}

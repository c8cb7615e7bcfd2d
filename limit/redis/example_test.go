package redis_test

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/limit/redis"
)

// All instances that name the same group keep below the limits together.
func ExampleNew() {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{"127.0.0.1:1"}, ForceSingleClient: true})
	if err != nil {
		fmt.Println("there is no Redis; do without it until there is")
		return
	}
	defer client.Close()
	l := limit.New(limit.Config{
		Limits:      catalog.Limits{List: []catalog.Limit{{Name: "live", Limit: 100, Window: 1, Scope: "account"}}},
		Environment: "production",
		Shared:      &limit.Shared{Ledger: redis.New(client, "payments/production")},
	})
	defer func() { _ = l.Close(context.Background()) }()
	turn, err := l.Take(context.Background(), limit.Request{Path: "/v1/customers"})
	fmt.Println(turn.Waited, err)
	// Output: there is no Redis; do without it until there is
}

package paginate_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/paginate"
)

func Example() {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("starting_after") == "" {
			fmt.Fprint(w, `{"object":"list","has_more":true,"data":[{"id":"cus_1"},{"id":"cus_2"}]}`)
			return
		}
		fmt.Fprint(w, `{"object":"list","has_more":false,"data":[{"id":"cus_3"}]}`)
	}))
	defer provider.Close()

	profile, err := catalog.Load("stripe")
	if err != nil {
		fmt.Println(err)
		return
	}
	style, err := paginate.Of(profile)
	if err != nil {
		fmt.Println(err)
		return
	}
	first, err := http.NewRequestWithContext(context.Background(), http.MethodGet, provider.URL+"/v1/customers", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	pages := paginate.Pages(context.Background(), style, first, http.DefaultClient.Do)
	if _, err := paginate.NDJSON(os.Stdout, pages, nil); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"id":"cus_1"}
	// {"id":"cus_2"}
	// {"id":"cus_3"}
}

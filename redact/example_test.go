package redact_test

import (
	"fmt"

	"github.com/sallyport/sallyport/redact"
)

func Example() {
	paths, err := redact.New([]string{"customer.email", "lines[*].note"})
	if err != nil {
		fmt.Println(err)
		return
	}
	clean, ok := paths.Apply("application/json", []byte(`{"customer": {"email": "jo@example.com", "id": 7}, "lines": [{"note": "gift"}]}`))
	fmt.Println(string(clean), ok)
	// Output: {"customer": {"email": "[redacted]", "id": 7}, "lines": [{"note": "[redacted]"}]} true
}

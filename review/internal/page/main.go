// Command page writes the page about the rules; go generate runs it.
package main

import (
	"fmt"
	"os"

	"github.com/sallyport/sallyport/review"
)

func main() {
	if err := os.WriteFile(os.Args[1], review.RulesPage(), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

package draft_test

import (
	"testing"

	"github.com/sallyport/sallyport/draft"
)

func BenchmarkFind(b *testing.B) {
	d, err := documents["stripe"]()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		draft.Find(d, need)
	}
}

package oauth_test

import (
	"testing"

	"github.com/sallyport/sallyport/connect"
)

// The credential of a warm call: from memory, without a look into the store.
func BenchmarkWarmCredential(b *testing.B) {
	s := sandboxStage(b, "zoom")
	id := s.connect("acme", nil)
	for name, ask := range map[string]func(*connect.Connections) error{
		"by tenant":     func(c *connect.Connections) error { _, err := c.For(b.Context(), "svc", "acme", ""); return err },
		"by connection": func(c *connect.Connections) error { _, err := c.For(b.Context(), "svc", "", id); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := ask(s.Connections); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

package breaker_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/breaker"
)

// What a call pays while all is well: two looks at the breaker.
func BenchmarkClosed(b *testing.B) {
	s := breaker.New(breaker.Config{})
	b.ReportAllocs()
	for b.Loop() {
		pass, _ := s.Allow("api.example.com")
		pass.Done(breaker.Success, time.Millisecond)
	}
}

func BenchmarkClosedParallel(b *testing.B) {
	s := breaker.New(breaker.Config{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			pass, _ := s.Allow("api.example.com")
			pass.Done(breaker.Success, time.Millisecond)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	s := breaker.New(breaker.Config{})
	s.Force("api.example.com", breaker.Opened)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = s.Allow("api.example.com")
	}
}

package pack_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/store/pack"
)

// object is JSON like that of a webhook, of about n bytes.
func object(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"id":"evt_1NG8Du2eZvKYlo2CUI79vXWy","object":"event","data":{"lines":[`)
	for i := 0; b.Len() < n-3; i++ {
		fmt.Fprintf(&b, `{"id":"il_%x","amount":%d,"currency":"usd","description":"%s","metadata":{},"livemode":false,"period":{"start":%d,"end":%d}},`,
			i*7919, i*977%10000, rand.Text(), 1700000000+i, 1700086400+i)
	}
	b.Truncate(b.Len() - 1)
	b.WriteString(`]}}`)
	return b.Bytes()
}

// R5.7: what comes back are the exact bytes.
func TestExact(t *testing.T) {
	t.Parallel()
	random := make([]byte, 100_000)
	_, _ = rand.Read(random)
	for name, body := range map[string][]byte{
		"nothing": nil, "small": object(1000), "just below": bytes.Repeat([]byte("x"), pack.Least-1), "at the edge": bytes.Repeat([]byte("x"), pack.Least),
		"large": object(200_000), "random": random, "5 MB": object(5_000_000), "looks packed": append([]byte{0x28, 0xb5, 0x2f, 0xfd}, random...),
	} {
		before := bytes.Clone(body)
		stored, packed := pack.Pack(body)
		if packed != (len(body) >= pack.Least && name != "random" && name != "looks packed") {
			t.Errorf("%s: packed %v, %d to %d bytes", name, packed, len(body), len(stored))
		}
		if len(stored) > len(body) {
			t.Errorf("%s: grew from %d to %d bytes", name, len(body), len(stored))
		}
		got, err := pack.Unpack(stored, packed)
		if err != nil || !bytes.Equal(got, before) || !bytes.Equal(body, before) {
			t.Errorf("%s: other bytes came back, %v", name, err)
		}
	}
}

// A damaged row is an error and neither a panic nor all memory.
func TestDamaged(t *testing.T) {
	t.Parallel()
	stored, _ := pack.Pack(object(10_000))
	for name, bad := range map[string][]byte{
		"cut": stored[:len(stored)/2], "none": []byte("no zstd at all"),
		"bomb": func() []byte { b, _ := pack.Pack(bytes.Repeat([]byte{0}, pack.Most+1)); return b }(),
	} {
		if got, err := pack.Unpack(bad, true); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func FuzzPack(f *testing.F) {
	f.Add(object(5000))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		large := bytes.Repeat(body, 1+pack.Least/(len(body)+1))
		stored, packed := pack.Pack(large)
		if got, err := pack.Unpack(stored, packed); err != nil || !bytes.Equal(got, large) {
			t.Fatalf("%d bytes came back as %d, %v", len(large), len(got), err)
		}
		_, _ = pack.Unpack(body, true)
	})
}

func BenchmarkPack(b *testing.B) {
	for _, size := range []int{1 << 10, 2600, pack.Least, 8 << 10, 16 << 10, 64 << 10, 1 << 20} {
		body := object(size)
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			var stored []byte
			for b.Loop() {
				stored, _ = pack.Pack(body)
			}
			b.ReportMetric(float64(len(stored))/float64(len(body)), "ratio")
		})
	}
}

func BenchmarkUnpack(b *testing.B) {
	for _, size := range []int{pack.Least, 64 << 10} {
		stored, packed := pack.Pack(object(size))
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := pack.Unpack(stored, packed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

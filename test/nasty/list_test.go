package nasty

import (
	"fmt"
	"strings"
	"time"
)

// clients are all of them. What HTTP says about each is in RFC 9112; where it
// leaves a choice, both are listed.
var clients = list()

func list() []client {
	long, longBody := signed("evt_nasty_long", lengthOf(+10))
	short, shortBody := signed("evt_nasty_short", lengthOf(-10))
	half, halfBody := signed("evt_nasty_half", lengthOf(0))
	two, twoBody := signed("evt_nasty_two", func(payload string) []string {
		return []string{fmt.Sprintf("Content-Length: %d", len(payload)), "Content-Length: 2"}
	})
	chunked, chunkedBody := signed("evt_nasty_chunks", func(string) []string { return []string{"Transfer-Encoding: chunked"} })
	unknown, unknownBody := signed("evt_nasty_coding", func(string) []string { return []string{"Transfer-Encoding: xchunked"} })
	inHex := fmt.Sprintf("%x", len(chunkedBody))
	post := func(lines ...string) string { return head(append(lines, "Connection: close")...) + end }
	get := func(method, target string) string {
		return method + " " + target + " HTTP/1.1\r\nHost: gateway.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	}
	smuggled := "POST " + door + " HTTP/1.1\r\nHost: gateway.example\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
	return []client{
		{"slow headers", drips("POST "+door+" HTTP/1.1\r\nHost: gateway.example\r\n", "X-Slow: 1\r\n", 300*time.Millisecond, headerTimeout+slack), []string{"closed", "408 closed"}},
		{"no request at all", many(300, says("")), []string{"closed", "408 closed"}},
		{"slow body", drips(post("Content-Length: 100000"), "x", 500*time.Millisecond, bodyTimeout+slack), []string{"400 closed", "408 closed"}},
		{"100-continue, and nothing follows", drips(post("Content-Length: 100", "Expect: 100-continue"), "", time.Second, bodyTimeout+slack), []string{"100 400 closed", "400 closed", "408 closed"}},
		{"never reads", deaf, []string{"closed"}},

		{"longer announced than sent", saysAndEnds(long + end + longBody), []string{"400 closed", "closed"}},
		{"shorter announced than sent", says(short + end + shortBody), []string{"401 closed"}},
		{"two lengths", says(two + end + twoBody), []string{"400 closed"}},
		{"lengths that are no numbers", all(post("Content-Length: -5"), post("Content-Length: +5"), post("Content-Length: 0x10"), post("Content-Length: 99999999999999999999")), []string{"400 closed"}},
		{"a length beyond the limit", says(post("Content-Length: 9000000000")), []string{"413 closed"}},
		{"half a body", saysAndEnds(half + end + halfBody[:len(halfBody)/2]), []string{"400 closed", "closed"}},
		{"half a body, then a reset", leaves(half + end + halfBody[:len(halfBody)/2]), []string{"left"}},
		{"half a header, then a reset", leaves("POST " + door + " HTTP/1.1\r\nHost: gat"), []string{"left"}},

		{"a chunk that lies about its size", saysAndEnds(chunked + end + inHex + "0\r\n" + chunkedBody + "\r\n0\r\n\r\n"), []string{"400 closed"}},
		{"a chunk size that is no number", says(chunked + end + "zz\r\n" + chunkedBody + "\r\n0\r\n\r\n"), []string{"400 closed"}},
		{"a chunk size beyond 64 bits", says(chunked + end + "1" + strings.Repeat("0", 20) + "\r\n" + chunkedBody), []string{"400 closed"}},
		{"chunks without end", saysAndEnds(chunked + end + inHex + "\r\n" + chunkedBody + "\r\n"), []string{"400 closed"}},
		{"a flood of chunk extensions", says(chunked + end + strings.Repeat("1;"+strings.Repeat("e", 4000)+"\r\nx\r\n", 200)), []string{"400 closed"}},
		{"endless chunks", endless, []string{"413 closed"}},
		{"a transfer coding that is none", says(unknown + end + unknownBody), []string{"501 closed"}},
		{"length and chunks", says(post("Content-Length: 4", "Transfer-Encoding: chunked") + "2\r\n{}\r\n0\r\n\r\n"), []string{"400 closed", "401 closed"}},
		{"a request behind a chunked one", says(head("Content-Length: 4", "Transfer-Encoding: chunked") + end + "0\r\n\r\n" + smuggled), []string{"400 closed", "401 closed", "401 401 closed"}},
		{"a request within a length", says(head("Content-Length: 6", "Transfer-Encoding: chunked") + end + "0\r\n\r\nX" + smuggled), []string{"400 closed", "401 closed", "401 400 closed", "401 405 closed"}},

		{"a header of 2 MB", says(head("X-Giant: "+strings.Repeat("x", 2<<20)) + end), []string{"431 closed"}},
		{"50,000 headers", says(head(strings.TrimSuffix(strings.Repeat("X-Many: 1\r\n", 50_000), "\r\n")) + end), []string{"431 closed"}},
		{"headers without end", drips(head(), "X-More: "+strings.Repeat("x", 4000)+"\r\n", time.Millisecond, headerTimeout+slack), []string{"431 closed"}},
		{"an address of 2 MB", says(get("POST", door+"?"+strings.Repeat("x", 2<<20))), []string{"414 closed", "431 closed"}},
		{"headers that go on in the next line", says(head("X-Folded: a", "\tb: c", "Content-Length: 0", "Connection: close") + end), []string{"400 closed", "401 closed"}},
		{"a space before the colon", says(post("Content-Length : 5")), []string{"400 closed"}},
		{"no host", says("POST " + door + " HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), []string{"400 closed"}},
		{"two hosts", says(post("Host: other.example", "Content-Length: 0")), []string{"400 closed"}},
		{"NUL in a header", says(post("X-Nul: a\x00b", "Content-Length: 0")), []string{"400 closed"}},

		{"100 requests at once", pipelined, []string{"100×401 closed"}},
		{"HTTP/1.0", says("POST " + door + " HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}"), []string{"401 closed"}},
		{"HTTP/0.9", says("POST " + door + "\r\n\r\n"), []string{"400 closed"}},
		{"HTTP/2 without TLS", says("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"), []string{"400 closed", "505 closed"}},
		{"TLS on a plain port", greets, []string{"no TLS"}},
		{"noise", says("\x00\x01\x02\xff\xfe\r\n\r\n"), []string{"400 closed"}},

		{"a whole address as the target", all(get("POST", "http://elsewhere.example"+door), get("POST", "http://169.254.169.254"+door)), []string{"401 closed"}},
		{"out of the door by dots", all(get("POST", "/api/webhooks/../v1/admin/keys"), get("POST", "/api/webhooks/stripe/../../v1/admin/keys")), []string{"301 closed", "307 closed", "401 closed", "404 closed"}},
		{"out of the door by encoded dots", all(get("POST", "/api/webhooks/%2e%2e%2fv1%2fadmin"), get("POST", "/api/webhooks/stripe%2f..%2f..%2fetc%2fpasswd")), []string{"404 closed"}},
		{"NUL and worse in the path", all(get("POST", door+"%00"), get("POST", door+"%ff%fe"), get("POST", door+"%0d%0aSet-Cookie:%20a")), []string{"404 closed"}},
		{"a path that is badly encoded", says(get("POST", door+"%zz")), []string{"400 closed"}},
		{"methods that are none of the door's", all(get("PUT", door), get("DELETE", door), get("TRACE", door), get("BREW", door)), []string{"404 closed", "405 closed"}},
		{"CONNECT to elsewhere", says("CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n"), []string{"400 closed", "404 closed", "405 closed", "404 open", "405 open"}},

		{"a body that unpacks to 50 MB", says(post("Content-Encoding: gzip", fmt.Sprintf("Content-Length: %d", len(zipped()))) + zipped()), []string{"413 closed"}},
		{"a huge form of files", says("POST " + door + " HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 900000\r\n\r\n--b\r\n" + strings.Repeat("x", 500_000)), []string{"415 closed"}},
		{"events signed long ago", stale, []string{"500×401 closed"}},
		{"two signatures, none of them of this event", doubled, []string{"401 closed"}},
		{"a signature of 60 kB", says(post("Stripe-Signature: t=1,"+strings.Repeat("v1=00,", 10_000), "Content-Length: 2") + "{}"), []string{"401 closed"}},
	}
}

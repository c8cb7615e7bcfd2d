package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/verify"
)

// maxCapture bounds the file of a captured request.
const maxCapture = 32 << 20

// readCapture reads a captured request: a raw HTTP/1.1 message, JSON with
// method, url, headers and body or body_base64, or an entry of a HAR file. A
// note says what was assumed, if anything.
func readCapture(path string, stdin io.Reader) (r *verify.Request, note string, err error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path) //nolint:gosec // the file that the person named
		if err != nil {
			return nil, "", err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxCapture+1))
	switch {
	case err != nil:
		return nil, "", err
	case len(data) > maxCapture:
		return nil, "", fmt.Errorf("%s is longer than %d bytes; no webhook is", path, maxCapture)
	}
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		r, err = readJSONCapture(trimmed)
	} else {
		r, note, err = readRawCapture(data)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return r, note, nil
}

// capturedHeaders are an object of values or lists, or a list of names and values
// as in HAR files.
type capturedHeaders http.Header

func (h *capturedHeaders) UnmarshalJSON(data []byte) error {
	*h = capturedHeaders{}
	var list []struct{ Name, Value string }
	if json.Unmarshal(data, &list) == nil {
		for _, e := range list {
			http.Header(*h).Add(e.Name, e.Value)
		}
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return errors.New("headers: want an object, or a list of name and value")
	}
	for name, raw := range object {
		var one string
		var many []string
		switch {
		case json.Unmarshal(raw, &one) == nil:
			http.Header(*h).Add(name, one)
		case json.Unmarshal(raw, &many) == nil:
			for _, v := range many {
				http.Header(*h).Add(name, v)
			}
		default:
			return fmt.Errorf("headers: %s: want a string or a list of strings", name)
		}
	}
	return nil
}

type jsonCapture struct {
	Method     string          `json:"method"`
	URL        string          `json:"url"`
	Headers    capturedHeaders `json:"headers"`
	Body       string          `json:"body"`
	BodyBase64 string          `json:"body_base64"`
	PostData   *struct {
		Text     string `json:"text"`
		Encoding string `json:"encoding"`
	} `json:"postData"`
	Request *jsonCapture `json:"request"` // of a HAR entry
}

func readJSONCapture(data []byte) (*verify.Request, error) {
	var c jsonCapture
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("it begins like JSON and is none: %w", err)
	}
	if c.Request != nil {
		c = *c.Request
	}
	if c.PostData != nil {
		if c.PostData.Encoding == "base64" {
			c.BodyBase64 = c.PostData.Text
		} else {
			c.Body = c.PostData.Text
		}
	}
	body := []byte(c.Body)
	switch {
	case c.URL == "" && len(c.Headers) == 0:
		return nil, errors.New("want JSON with method, url, headers and body or body_base64, or an entry of a HAR file")
	case c.Body != "" && c.BodyBase64 != "":
		return nil, errors.New("body and body_base64 are both there; give one")
	case c.BodyBase64 != "":
		var err error
		if body, err = base64.StdEncoding.DecodeString(c.BodyBase64); err != nil {
			return nil, errors.New("body_base64 is not base64")
		}
	}
	if c.Method == "" {
		c.Method = http.MethodPost
	}
	return &verify.Request{Method: strings.ToUpper(c.Method), URL: c.URL, Header: http.Header(c.Headers), Body: body}, nil
}

// readRawCapture takes the head as HTTP and the rest of the file as the body:
// files of captured requests often lack the framing.
func readRawCapture(data []byte) (*verify.Request, string, error) {
	head, body, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	if lfHead, lfBody, lf := bytes.Cut(data, []byte("\n\n")); lf && (!ok || len(lfHead) < len(head)) {
		head, body, ok = lfHead, lfBody, true
	}
	if !ok {
		head, body = bytes.TrimRight(data, "\r\n"), nil
	}
	req, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(head), strings.NewReader("\r\n\r\n"))))
	if err != nil {
		return nil, "", fmt.Errorf("it is neither JSON nor an HTTP message (POST /path HTTP/1.1, headers, an empty line, the body): %w", err)
	}
	note := ""
	if n, err := strconv.Atoi(req.Header.Get("Content-Length")); err == nil && n >= 0 && n != len(body) {
		note = fmt.Sprintf("Content-Length says %d and the file has %d bytes of body", n, len(body))
		if n < len(body) && len(bytes.TrimSpace(body[n:])) == 0 {
			body = body[:n]
			note += "; the white space at its end was left out"
		}
	}
	url := req.RequestURI
	if strings.HasPrefix(url, "/") {
		url = "https://" + req.Host + url
	}
	return &verify.Request{Method: req.Method, URL: url, Header: req.Header, Body: body}, note, nil
}

package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// appendQSH is the query string hash of Atlassian Connect: SHA-256 in hex of
// method, path and query joined with "&". The path is relative to the app's base
// address (config base_path, such as /jira), without a slash at its end; of the
// query, jwt is left out, keys are sorted, values of one key are sorted and
// joined with ",", all in RFC 3986 encoding.
// https://developer.atlassian.com/cloud/jira/platform/understanding-jwt-for-connect-apps/
func appendQSH(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	path, _, _ := strings.Cut(pathOf(r.URL), "?")
	path = strings.TrimPrefix(path, strings.TrimSuffix(r.Config["base_path"], "/"))
	path = "/" + strings.Trim(path, "/")
	unescaped, err := url.PathUnescape(path)
	if err != nil {
		return dst, errors.New("the path is not well-formed")
	}
	segments := strings.Split(unescaped, "/")
	for i := range segments {
		segments[i] = encode3986(segments[i])
	}
	query := r.Query()
	if query == nil && strings.Contains(r.URL, "?") {
		return dst, errors.New("the query is not well-formed")
	}
	pairs := map[string]string{}
	for key, values := range query {
		if key == "jwt" {
			continue
		}
		encoded := make([]string, 0, len(values))
		for _, v := range values {
			encoded = append(encoded, encode3986(v))
		}
		slices.Sort(encoded)
		pairs[encode3986(key)] = strings.Join(encoded, ",")
	}
	var text strings.Builder
	text.WriteString(strings.ToUpper(r.Method) + "&" + strings.Join(segments, "/") + "&")
	for i, key := range slices.Sorted(maps.Keys(pairs)) {
		if i > 0 {
			text.WriteByte('&')
		}
		text.WriteString(key + "=" + pairs[key])
	}
	sum := sha256.Sum256([]byte(text.String()))
	return hex.AppendEncode(dst, sum[:]), nil
}

// encode3986 escapes all but letters, digits and -._~
func encode3986(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

package send

import (
	"net/url"
	"slices"
	"strings"
)

// Redacted stands in the place of what must not be written down.
const Redacted = "[redacted]"

// sensitive are parts of parameter names whose values are credentials.
var sensitive = []string{"secret", "password", "passwd", "apikey", "api_key", "api-key", "access_key", "signature", "credential", "authorization", "client_assertion"}

// exactly are whole parameter names whose values are credentials.
var exactly = []string{"key", "sig", "auth", "jwt", "hapikey"}

// places are tokens that say where in a list one is, and are no credentials.
var places = []string{"page", "next", "sync", "continuation", "cursor", "start", "previous", "prev"}

// Redact writes a URL's path and query for the log, the values of parameters
// that look like credentials replaced by Redacted. User and host are left out.
// Pass names of further parameters to hide.
func Redact(u *url.URL, further ...string) string {
	path := u.EscapedPath()
	if u.RawQuery == "" {
		return path
	}
	var out strings.Builder
	out.WriteString(path)
	separator := byte('?')
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		out.WriteByte(separator)
		separator = '&'
		name, _, valued := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if valued && (err != nil || hidden(plain, further)) {
			out.WriteString(name + "=" + Redacted)
			continue
		}
		out.WriteString(part)
	}
	return out.String()
}

func hidden(name string, further []string) bool {
	lower := strings.ToLower(name)
	for _, s := range sensitive {
		if strings.Contains(lower, s) {
			return true
		}
	}
	if slices.Contains(exactly, lower) || slices.Contains(further, name) {
		return true
	}
	kind, token := strings.CutSuffix(lower, "token")
	return token && !slices.ContainsFunc(places, func(place string) bool { return strings.HasPrefix(kind, place) })
}

package redis

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/sallyport/sallyport/breaker"
)

// keys are those of one breaker, in the order of the scripts:
//
//	version  the number of the last change; it is Redis' time in µs, so that it
//	         goes on growing when Redis has forgotten it
//	hosts    hash: "service host" → "version until flags instance notice"
//	ages     sorted set: when a field of hosts may be forgotten
//	probes:… sorted set: tickets of probes under way → when they are given up
//	proved:… how many succeeded
func (h *Hub) keys(field string) []string {
	return []string{h.prefix + "version", h.prefix + "hosts", h.prefix + "ages", h.prefix + "probes:" + field, h.prefix + "proved:" + field}
}

// now is Redis' time in µs, which a Lua number holds exactly.
const now = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
`

// publish writes a notice: field, flags, instance, pause in µs, notice. What is
// forced gives way to another hand only, and then nothing is written. A record is kept for ten minutes after its pause.
var publish = rueidis.NewLuaScript(now + `
local field, flags = ARGV[1], ARGV[2]
local old = redis.call('HGET', KEYS[2], field)
if old then
  if string.find(flags, 'i') then return 0 end
  if string.match(old, '^%d+ %d+ %a*f') and not string.find(flags, '[fr]') then return 0 end
end
local version = math.max(now, (tonumber(redis.call('GET', KEYS[1])) or 0) + 1)
local text = string.format('%.0f', version)
redis.call('SET', KEYS[1], text)
redis.call('HSET', KEYS[2], field, text .. ' ' .. string.format('%.0f', now + ARGV[4]) .. ' ' .. flags .. ' ' .. ARGV[3] .. ' ' .. ARGV[5])
if string.find(flags, 'f') then
  redis.call('ZREM', KEYS[3], field)
else
  redis.call('ZADD', KEYS[3], string.format('%.0f', now + ARGV[4] + 600000000), field)
end
for _, stale in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now), 'LIMIT', 0, 100)) do
  redis.call('HDEL', KEYS[2], stale)
  redis.call('ZREM', KEYS[3], stale)
end
redis.call('DEL', KEYS[4], KEYS[5])
return 1
`)

// news answers with the version alone where it is the one that is known, else
// with the time and all records too.
var news = rueidis.NewLuaScript(`
local version = redis.call('GET', KEYS[1]) or ''
if version == ARGV[1] then return {version} end
` + now + `
return {version, string.format('%.0f', now), redis.call('HGETALL', KEYS[2])}
`)

// probe gives a ticket: probes that may be, timeout in µs. It answers with "" when
// all are taken.
var probe = rueidis.NewLuaScript(now + `
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', string.format('%.0f', now))
local proved = tonumber(redis.call('GET', KEYS[5])) or 0
if redis.call('ZCARD', KEYS[4]) + proved >= tonumber(ARGV[1]) then return '' end
local ticket = string.format('%.0f', now)
while redis.call('ZSCORE', KEYS[4], ticket) do ticket = ticket .. '+' end
redis.call('ZADD', KEYS[4], string.format('%.0f', now + ARGV[2]), ticket)
redis.call('PEXPIRE', KEYS[4], math.ceil(ARGV[2] / 1000) + 1000)
return ticket
`)

// probed takes a ticket back: ticket, whether it was a success. It answers with
// the number of successes. The ticket of an older half-open state is none.
var probed = rueidis.NewLuaScript(`
if redis.call('ZREM', KEYS[4], ARGV[1]) == 0 or ARGV[2] == '0' then return 0 end
local proved = redis.call('INCR', KEYS[5])
redis.call('PEXPIRE', KEYS[5], 600000)
return proved
`)

// flags say to publish what stands against what: f forced, r reset, i only if
// nothing is known; never empty.
func flags(s said) string {
	f := "n"
	if s.Forced {
		f += "f"
	}
	if s.Reset {
		f += "r"
	}
	if s.fill {
		f += "i"
	}
	return f
}

// record is what Redis knows of a host.
type record struct {
	version string
	by      string // the instance; nobody's when all learn it
	said
}

// notice is the record as it is to be learned now.
func (r record) notice() breaker.Notice {
	n := r.Notice
	n.Pause = max(time.Until(r.until), 0)
	return n
}

// parse reads what news answered. Pauses end by our clock as long after begun
// as they do after Redis' now.
func parse(answer []rueidis.RedisMessage, begun time.Time) (version string, records map[string]record, err error) {
	if len(answer) == 0 {
		return "", nil, fmt.Errorf("breaker: Redis answered nothing; are other programs using the keys?")
	}
	if version, err = answer[0].ToString(); err != nil || len(answer) < 3 {
		return version, nil, err
	}
	clock, err := answer[1].AsInt64()
	if err != nil {
		return "", nil, err
	}
	texts, err := answer[2].AsStrMap()
	if err != nil {
		return "", nil, err
	}
	records = make(map[string]record, len(texts))
	for field, text := range texts {
		if r, ok := parseRecord(field, text, clock, begun); ok {
			records[field] = r
		}
	}
	return version, records, nil
}

// parseRecord reads one record; one that another version of this program wrote,
// and that is not understood, is none.
func parseRecord(field, text string, clock int64, begun time.Time) (r record, ok bool) {
	parts := strings.SplitN(text, " ", 5)
	_, host, named := strings.Cut(field, " ")
	if len(parts) != 5 || !named {
		return r, false
	}
	until, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || json.Unmarshal([]byte(parts[4]), &r.Notice) != nil || (r.State != breaker.Opened && r.State != breaker.Closed) {
		return r, false
	}
	const longest = int64(24 * time.Hour / time.Microsecond)
	r.version, r.by, r.Host, r.Openings = parts[0], parts[3], host, min(max(r.Openings, 0), 64)
	r.until = begun.Add(time.Duration(min(max(until-clock, -longest), longest)) * time.Microsecond)
	return r, true
}

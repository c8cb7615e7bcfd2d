-- One settlement of shared limits: the arithmetic of package ledger, word for
-- word, on what is kept here. Times are microseconds on this server's clock.
--
-- KEYS: 1 the instances by their last beat, 2 the pause, then for each account
-- its slots with what belongs to it, and its instances.
-- ARGV: as the Go side writes them, in this order.
local at = 0
local function text() at = at + 1 return ARGV[at] end
local function number() return tonumber(text()) end
local function whole(n) return string.format('%.0f', n) end
local floor, max, min = math.floor, math.max, math.min

local id = text()
local beat, leave, presence, pause, clock, accounts = number(), number(), number(), number(), number(), number()
local t = redis.call('TIME')
local time = t[1] * 1000000 + t[2]
if clock > 0 then time = clock end -- of a test

local instances = 0
if leave == 1 then
	redis.call('ZREM', KEYS[1], id)
elseif beat == 1 then
	redis.call('ZADD', KEYS[1], whole(time), id)
	redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. whole(time - presence))
	redis.call('PEXPIRE', KEYS[1], whole(presence / 500))
	instances = redis.call('ZCARD', KEYS[1])
end
local paused = tonumber(redis.call('GET', KEYS[2]) or 0)
if pause > 0 and time + pause > paused then
	paused = time + pause
	redis.call('SET', KEYS[2], whole(paused), 'PX', whole(floor(pause / 1000) + 60000))
end
local answer = {instances, max(0, paused - time)}
local function say(n) answer[#answer + 1] = n end

-- an instance's line: sequence, birth it joined, units wanted, until when, had, at
local function line(value)
	local s, j, w, u, h, a = string.match(value, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
	return {seq = tonumber(s), joined = tonumber(j), units = tonumber(w), untl = tonumber(u), had = tonumber(h), at = tonumber(a)}
end
local function faded(o, now, length) return floor(o.had * (1000 - min(floor((now - o.at) * 1000 / length), 1000)) / 1000) end

local function settle(slots, people)
	local share, length, slot, horizon, validity = number(), number(), number(), number(), number()
	local epoch, sequence, join, back, all = number(), number(), number(), number(), number()
	local known, ceiling, want, least, left, leftfor, ends = number(), number(), number(), number(), number(), number(), number()
	local entries = number()
	local from = at
	at = at + 2 * entries

	-- what belongs to the account as a whole is one value, its slots are arrays of
	-- 64 in a value each, read and written at most once
	local now = time
	local first = floor((now - length) / slot)
	local e, born, last, low, high, total, debt, debtend, expected, joined, hungry
	local v = redis.call('HGET', slots, 'account')
	if v then
		e, born, last, low, high, total, debt, debtend, expected, joined, hungry = unpack(cmsgpack.unpack(v))
	else
		e, born, last, low, high = now, now, now, first, first
		total, debt, debtend, expected, joined, hungry = 0, 0, 0, 0, 0, 0
	end
	if last > now then
		now = last
		first = floor((now - length) / slot)
	end

	local blocks, changed = {}, {}
	local function block(c)
		local b = blocks[c]
		if b == nil then
			local raw = redis.call('HGET', slots, whole(c))
			b = raw and cmsgpack.unpack(raw) or false
			blocks[c] = b
		end
		return b
	end
	-- f gets each slot from a to b that holds something, and stops with true
	local function each(a, b, f)
		local k = a
		while k <= b do
			local c = floor(k / 64)
			local units = block(c)
			local stop = min(b, c * 64 + 63)
			if units then
				for i = k - c * 64 + 1, stop - c * 64 + 1 do
					if units[i] ~= 0 and f(c * 64 + i - 1, units[i]) then return end
				end
			end
			k = stop + 1
		end
	end

	if low < first then
		each(low, min(first - 1, high), function(_, units) total = total - units end)
		local gone = {}
		for c = floor(low / 64), min(floor(first / 64) - 1, floor(high / 64)) do
			if block(c) then gone[#gone + 1] = whole(c) end
			blocks[c] = false
		end
		if #gone > 0 then redis.call('HDEL', slots, unpack(gone)) end
		low = first
	end

	local function keep()
		local values = {'account', cmsgpack.pack({e, born, now, low, high, total, debt, debtend, expected, joined, hungry})}
		for c in pairs(changed) do
			values[#values + 1] = whole(c)
			values[#values + 1] = cmsgpack.pack(blocks[c])
		end
		redis.call('HSET', slots, unpack(values))
		local life = whole(floor((length + horizon + validity) / 1000) + 60000)
		redis.call('PEXPIRE', slots, life)
		redis.call('PEXPIRE', people, life)
	end

	if epoch ~= e and join == 0 then
		keep()
		say(e) say(now) say(1) say(0) say(0) say(0) say(0)
		return
	end

	local function add(k, units)
		if k < low then return end
		local c = floor(k / 64)
		local b = block(c)
		if not b then
			b = {}
			for i = 1, 64 do b[i] = 0 end
			blocks[c] = b
		end
		local i = k - c * 64 + 1
		units = max(units, -b[i])
		b[i] = b[i] + units
		changed[c] = true
		total = total + units
		high = max(high, k)
	end

	local value = redis.call('HGET', people, id)
	local me = value and line(value) or {seq = 0, joined = 0, units = 0, untl = 0, had = 0, at = now}
	local function young() return joined < expected and now - born < min(length + horizon + validity, 10000000) end

	if back == 1 and not young() then
		born, expected, joined = now, 0, 0
		if me.joined == born then me.joined = 0 end
	end
	if join == 1 or back == 1 then
		if all == 1 and me.joined ~= born then
			me.joined = born
			joined = joined + 1
		end
		expected = max(expected, known)
	end
	if me.seq ~= sequence then
		me.seq = sequence
		for i = 1, entries do add(tonumber(ARGV[from + 2 * i - 1]), tonumber(ARGV[from + 2 * i])) end
	end

	if left >= 0 then
		local owed, untl = max(0, share - total - left), now + leftfor
		if ends == 1 and debt > 0 and math.abs(untl - debtend) <= 2000000 then owed = max(owed, debt) end
		debt, debtend = owed, untl
	end
	if debtend <= now then debt = 0 end

	local grants, given, retry = {}, 0, 0
	if want <= 0 then
		me.units = 0
	else
		local free = share - total - debt
		local reach = free
		local final = floor((now + horizon - length) / slot) - 1
		local others, rivals = 0, {}
		if hungry >= now then -- somebody was refused of late
			local lines = redis.call('HGETALL', people)
			for i = 1, #lines, 2 do
				if lines[i] ~= id then
					local o = line(lines[i + 1])
					if o.untl >= now and o.units > 0 then
						others = others + o.units
						rivals[#rivals + 1] = {had = faded(o, now, length), units = o.units}
					elseif now - o.at > length + 604800000000 then -- gone for a week
						redis.call('HDEL', people, lines[i])
					end
				end
			end
		end
		local soon = {} -- what ends its window within the horizon: slot, units
		if reach < want + others then
			each(low, min(final, high), function(k, units)
				soon[#soon + 1] = k
				soon[#soon + 1] = units
				reach = reach + units
				return reach >= want + others
			end)
		end
		reach = max(reach, 0)

		local part = want
		if reach < want + others then
			local mine = faded(me, now, length)
			rivals[#rivals + 1] = {had = mine, units = want}
			local bottom, top = 0, 0
			for _, r in ipairs(rivals) do top = max(top, r.had + r.units) end
			while bottom < top do
				local level, sum = floor((bottom + top + 1) / 2), 0
				for _, r in ipairs(rivals) do sum = sum + min(max(level - r.had, 0), r.units) end
				if sum <= reach then bottom = level else top = level - 1 end
			end
			part = min(want, max(bottom - mine, least))
		end
		if young() then part = min(part, ceiling) end
		part = part - part % max(1, least)

		local function give(upto, after)
			local can = min(upto, part)
			local n = can - given
			if n > 0 and (given > 0 or can >= least) then
				grants[#grants + 1] = after
				grants[#grants + 1] = n
				given = given + n
			end
		end
		give(free, 0)
		local k = low
		for i = 1, #soon, 2 do
			if given >= part then break end
			k = soon[i] + 1
			free = free + soon[i + 1]
			give(free, k * slot + length - now)
		end
		if given < want then
			if given > 0 or free >= least then
				retry = floor(horizon / 4)
			else
				each(k, high, function(j, units)
					free = free + units
					k = j + 1
					return free >= least
				end)
				local when = k * slot + length
				if free < least then when = debtend end
				retry = max(when - now, floor(horizon / 4))
			end
		end
		me.had = faded(me, now, length) + given
		me.units, me.untl, me.at = want - given, now + min(retry, 2000000) + horizon, now
		if me.units > 0 then hungry = max(hungry, me.untl) end
	end

	local expiry = floor((now + horizon + validity) / slot)
	if given > 0 then add(expiry, given) end
	redis.call('HSET', people, id, whole(me.seq) .. ' ' .. whole(me.joined) .. ' ' .. whole(me.units) .. ' ' .. whole(me.untl) .. ' ' .. whole(me.had) .. ' ' .. whole(me.at))
	keep()
	say(e) say(now) say(0) say(expiry) say(total) say(retry) say(#grants / 2)
	for i = 1, #grants do say(grants[i]) end
end

for i = 1, accounts do settle(KEYS[2 * i + 1], KEYS[2 * i + 2]) end
return answer

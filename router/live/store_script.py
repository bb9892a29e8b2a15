"""What the store does, in one step that nothing comes between: the script of all shared buckets.

Arguments are four for each bucket: what it can hold, what flows in each second, what is wanted
(negative: given back) and what was used beyond what was given out. The first key holds the routers
by when they were last heard; it says how many they are, and that is by how much each may be given
at once: no router empties a bucket before the others have asked.

A bucket that the store does not know begins empty. So a store that has lost its memory gives out
nothing that may have been given out before, and no period costs more than its budget. The store's
clock is the only one. Set back, it gives nothing until it has caught up; set forward, it gives at
most what a bucket can hold.
"""

from typing import Final

MEMBER_MS: Final = 30_000
"""A router that has not been heard for so long is counted no more."""

LUA: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local router, member_ms = ARGV[1], tonumber(ARGV[2])
if ARGV[3] == 'leaves' then
  redis.call('ZREM', KEYS[1], router)
else
  redis.call('ZADD', KEYS[1], now, router)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - member_ms)
redis.call('PEXPIRE', KEYS[1], member_ms)
local routers = redis.call('ZCARD', KEYS[1])
local answer = {routers}
for place = 2, #KEYS do
  local first = 4 * (place - 2) + 4
  local most, per_s = tonumber(ARGV[first]), tonumber(ARGV[first + 1])
  local want, debt = tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])
  local known = redis.call('HMGET', KEYS[place], 'level', 'at')
  local level, at = tonumber(known[1] or 0), tonumber(known[2] or now)
  level = math.min(most, level + math.max(0, now - at) * per_s / 1000) - debt
  local given = want
  if want > 0 then
    given = math.min(want, math.max(0, level) / math.max(1, routers))
  end
  level = math.min(most, level - given)
  redis.call('HSET', KEYS[place], 'level', string.format('%.17g', level),
    'at', string.format('%d', math.max(now, at)))
  local fills_ms = math.ceil(4000 * most / per_s)
  redis.call('PEXPIRE', KEYS[place], math.max(3600000, fills_ms))
  answer[place] = string.format('%.17g', given)
end
return answer
"""

"""The log of buckets that were made full by hand, in Redis, by which services forget what they remember of them.

A sorted set of the last keys, by a number that only grows. As with revocations, who reads asks from the number of the
last one that was read on, that one included: where it is not named again, history is not what it was.
"""

from __future__ import annotations

from typing import Final

from servicekit.buckets.keys import PREFIX

LOG_KEY: Final = PREFIX + b"resets"
MOST_KEPT: Final = 1000
"""Who is further behind forgets everything."""

RESET: Final = """
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local time = redis.call('TIME')
local number = math.max(time[1] * 1000000 + time[2], (tonumber(last[2]) or 0) + 1)
redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[2], string.format('%.0f', number), KEYS[1])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[1]))
return 1
"""
"""KEYS: the bucket and the log. ARGV: how many the log keeps. The number is one of microseconds, so that it does not
repeat after a flush."""

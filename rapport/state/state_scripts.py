"""Scripts that read and change customer states inside the server, each in one step.

A state is one hash, so that it is evicted whole:

* ``n``: its namespace and the incarnation of the server that it was begun in;
* ``m``: the mark of a load that has begun; whoever read the tables after the mark may store what was read;
* ``v``: the value, once a load has finished, and ``c``: a token that differs with each value;
* one field per batch that has written of the customer since the mark: its delta.

An incarnation is a start of the server, or its promotion: after either the data may be older than what was read before.
Where the server hides it, every script fails, and nothing is read from states.
"""

from __future__ import annotations

from typing import Final

_INCARNATION: Final = """
local function incarnation()
    local info = redis.call('INFO', 'server') .. redis.call('INFO', 'replication')
    return string.match(info, 'run_id:(%w+)') .. ':' .. string.match(info, 'master_replid:(%w+)')
end
"""

FIND: Final = (
    _INCARNATION
    + """
-- KEYS: state. ARGV: namespace, mark to set where there is no state, milliseconds that a mark lives.
-- 1 and all fields, or 0 and the mark under which the state may be stored.
local namespace = ARGV[1] .. ':' .. incarnation()
if redis.call('HGET', KEYS[1], 'n') ~= namespace then
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'n', namespace, 'm', ARGV[2])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return {0, ARGV[2]}
end
local mark = redis.call('HGET', KEYS[1], 'm')
if mark then return {0, mark} end
return {1, redis.call('HGETALL', KEYS[1])}
"""
)

PEEK: Final = (
    _INCARNATION
    + """
-- KEYS: state. ARGV: namespace. All fields if there is a state that may be used; nothing is changed.
if redis.call('HGET', KEYS[1], 'n') ~= ARGV[1] .. ':' .. incarnation() then return {} end
return redis.call('HGETALL', KEYS[1])
"""
)

# KEYS: state. ARGV: mark, value, token of the value, milliseconds it lives.
STORE: Final = """
if redis.call('HGET', KEYS[1], 'm') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'c', ARGV[3])
redis.call('HDEL', KEYS[1], 'm')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""

# KEYS: state. ARGV: token of the value that was read, new value, its token, fields of the deltas that it contains.
REPLACE: Final = """
if redis.call('HGET', KEYS[1], 'c') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'c', ARGV[3])
for number = 4, #ARGV do redis.call('HDEL', KEYS[1], ARGV[number]) end
return 1
"""

# KEYS: states. The time of the server in milliseconds, and the numbers of the states that are there, from 1.
LIST_PRESENT: Final = """
local time = redis.call('TIME')
local present = {time[1] * 1000 + math.floor(time[2] / 1000)}
for number, key in ipairs(KEYS) do
    if redis.call('EXISTS', key) == 1 then present[#present + 1] = number end
end
return present
"""

# KEYS: states. ARGV: until when, by the server's clock in milliseconds; most fields of a state; most bytes of a delta;
# field; a delta for each state. 0 if it is too late. A state that is not there is not begun: its load will read what
# the delta says. One that would become too large is forgotten.
OFFER: Final = """
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then return 0 end
for number, key in ipairs(KEYS) do
    if redis.call('EXISTS', key) == 1 then
        if redis.call('HLEN', key) >= tonumber(ARGV[2]) or #ARGV[number + 4] > tonumber(ARGV[3]) then
            redis.call('UNLINK', key)
        else
            redis.call('HSET', key, ARGV[4], ARGV[number + 4])
        end
    end
end
return 1
"""

COVER: Final = (
    _INCARNATION
    + """
-- KEYS: coverage. ARGV: name of a new namespace; then for each source its name, and the offsets from and up to which
-- its events have been offered to all states. A source whose events before were not begins the new namespace.
-- 1 if it was begun.
local now = incarnation()
local is_new = redis.call('HGET', KEYS[1], 'i') ~= now or redis.call('HEXISTS', KEYS[1], 'n') == 0
if is_new then redis.call('DEL', KEYS[1]) end
for number = 2, #ARGV, 3 do
    local covered = redis.call('HGET', KEYS[1], 'p:' .. ARGV[number])
    if not covered or tonumber(covered) < tonumber(ARGV[number + 1]) then is_new = true end
end
if is_new then redis.call('HSET', KEYS[1], 'i', now, 'n', ARGV[1]) end
for number = 2, #ARGV, 3 do
    local field = 'p:' .. ARGV[number]
    local covered = redis.call('HGET', KEYS[1], field)
    if not covered or tonumber(covered) < tonumber(ARGV[number + 2]) then
        redis.call('HSET', KEYS[1], field, ARGV[number + 2])
    end
end
return is_new and 1 or 0
"""
)

READ_COVERAGE: Final = (
    _INCARNATION
    + """
-- KEYS: coverage. All fields, or none where the server has been started or promoted since.
if redis.call('HGET', KEYS[1], 'i') ~= incarnation() then return {} end
return redis.call('HGETALL', KEYS[1])
"""
)

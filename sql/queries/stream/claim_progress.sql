-- One row: the server's time, and the sources with the offsets up to which they have been applied, in the same order.
SELECT
    toUnixTimestamp64Milli(now64(3)) AS now_ms,
    groupArray(source) AS sources,
    groupArray(next_offset) AS next_offsets
FROM (SELECT toString(source) AS source, max(p.next_offset) AS next_offset FROM stream_progress AS p GROUP BY source)

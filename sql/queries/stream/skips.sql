-- A row is one message that an operator has chosen to skip, with the first reason given.
SELECT source, offset, argMin(reason, created_at) AS reason
FROM stream_skips
WHERE source IN {sources:Array(String)}
GROUP BY source, offset

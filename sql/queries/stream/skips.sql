-- A row is one message that an operator has had skipped, with the first reason that was given.
SELECT source, offset, argMin(reason, created_at) AS reason
FROM stream_skips
WHERE source IN {sources:Array(String)}
GROUP BY source, offset

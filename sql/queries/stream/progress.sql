-- A row is one source and the offset at which its next batch starts.
SELECT source, max(next_offset) AS next_offset
FROM stream_progress
WHERE source IN {sources:Array(String)}
GROUP BY source

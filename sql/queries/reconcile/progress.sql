-- A row is one source and the offset up to which it has been applied.
SELECT source, max(next_offset) AS next_offset FROM stream_progress GROUP BY source

-- A row is one insert of claims, of which some may not be contained in the progress given: its source, its lowest offset, its keys and the time of the server.
-- Frames: known_progress (source, next_offset).
SELECT
    toString(source) AS source,
    first_offset,
    key_hashes AS key_hash,
    toUnixTimestamp64Milli(now64(3)) AS now_ms
FROM recent_claims
PREWHERE last_offset >= transform(
    toString(source),
    (SELECT groupArray(source) FROM known_progress),
    (SELECT groupArray(next_offset) FROM known_progress),
    toUInt64(0)
)

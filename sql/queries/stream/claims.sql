-- A row is another event's claim of an idempotency key of the batch. In the source whose event has the key, claims of
-- the batch and of later messages are left out: only lower offsets decide within a source. The caller compares
-- customers. Keys first, and the rest for the few rows found: the engine would check source and offset of every row that
-- it reads for a key.
-- Frames: batch_keys (source, key_hash), batch_starts (source, first_offset).
SELECT
    tenant_id,
    customer_id,
    key_hash,
    source,
    offset,
    item,
    any(payload_hash) AS payload_hash,
    toUnixTimestamp64Milli(any(received_at)) AS received_at_ms,
    max(has_yielded) AS has_yielded,
    dateDiff('second', max(c.stored_at), now64(3)) AS age_s
FROM event_claims AS c
PREWHERE tenant_id IN {tenants:Array(String)} AND key_hash IN (SELECT key_hash FROM batch_keys)
WHERE NOT (
    (toString(source), key_hash) IN (SELECT source, key_hash FROM batch_keys)
    AND offset >= transform(
        toString(source),
        (SELECT groupArray(source) FROM batch_starts),
        (SELECT groupArray(first_offset) FROM batch_starts),
        toUInt64(0)
    )
)
GROUP BY tenant_id, customer_id, key_hash, source, offset, item

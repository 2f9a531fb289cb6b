-- A row is one claim of an idempotency key that somebody asks about, within the horizon of duplicates.
-- The caller compares customers. Frame: asked_keys (key_hash).
SELECT
    tenant_id,
    customer_id,
    key_hash,
    source,
    offset,
    item,
    any(payload_hash) AS payload_hash,
    toUnixTimestamp64Milli(any(received_at)) AS received_at_ms
FROM event_claims AS c
WHERE tenant_id IN {tenants:Array(String)}
    AND key_hash IN (SELECT key_hash FROM asked_keys)
    AND received_at >= now64(3) - INTERVAL {horizon_hours:UInt32} HOUR
GROUP BY tenant_id, customer_id, key_hash, source, offset, item

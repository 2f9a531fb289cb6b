-- A row is one claim of one of the given idempotency keys, within the horizon of duplicates. A claim that was written
-- twice is returned twice. The caller compares customers.
SELECT
    toString(c.tenant_id) AS tenant_id,
    c.customer_id AS customer_id,
    c.key_hash AS key_hash,
    toString(c.source) AS source,
    c.offset AS offset,
    c.item AS item,
    c.payload_hash AS payload_hash,
    toUnixTimestamp64Milli(c.received_at) AS received_at_ms
FROM event_claims AS c
WHERE c.tenant_id IN {tenants:Array(String)}
    AND c.key_hash IN {hashes:Array(UInt64)}
    AND c.received_at >= now64(3) - INTERVAL {horizon_hours:UInt32} HOUR
SETTINGS max_threads = 1

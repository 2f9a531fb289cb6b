-- A row is one entry of a tenant's chain after a sequence number, in their order.
SELECT
    seq,
    toUnixTimestamp64Milli(at) AS at_ms,
    actor,
    action,
    entity_type,
    entity_id,
    entity_name,
    entity_version,
    revision,
    before,
    after,
    request_id,
    prev_hash,
    hash
FROM audit_entries
WHERE tenant_id = {tenant_id:String} AND seq > {after_seq:UInt64}
ORDER BY seq
LIMIT {limit:UInt32}

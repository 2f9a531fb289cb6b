-- A row is one entry of a tenant's audit log, the newest first. Empty or 0 means no condition.
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
    hash,
    total
FROM
(
    SELECT *, count() OVER () AS total
    FROM audit_entries
    WHERE tenant_id = {tenant_id:String}
        AND ({entity_type:String} = '' OR entity_type = {entity_type:String})
        AND ({entity_id:String} = '' OR entity_id = {entity_id:String})
        AND ({action:String} = '' OR action = {action:String})
        AND ({actor:String} = '' OR actor = {actor:String})
        AND ({from_ms:UInt64} = 0 OR toUnixTimestamp64Milli(at) >= {from_ms:UInt64})
        AND ({to_ms:UInt64} = 0 OR toUnixTimestamp64Milli(at) < {to_ms:UInt64})
)
WHERE {before_seq:UInt64} = 0 OR seq < {before_seq:UInt64}
ORDER BY seq DESC
LIMIT {limit:UInt32} OFFSET {offset:UInt32}

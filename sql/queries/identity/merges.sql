-- A row is one merge statement about two customers of a tenant, in the order of the statements.
SELECT
    merge_id,
    customer_ids[1] AS source_id,
    customer_ids[2] AS target_id,
    is_undone,
    toUnixTimestamp64Milli(stored_at) AS at_ms
FROM identity_merges
WHERE tenant_id = {tenant_id:String}
ORDER BY stored_at, merge_id, is_undone

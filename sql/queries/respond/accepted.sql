-- A row is an interaction at one of the given offsets, of one of the given customers. The caller pairs them.
SELECT
    toString(i.tenant_id) AS tenant_id,
    i.customer_id AS customer_id,
    toString(i.source) AS source,
    i.offset AS offset,
    i.item AS item,
    i.id AS id,
    toUnixTimestamp64Milli(i.occurred_at) AS occurred_at_ms
FROM interaction_log AS i
WHERE i.tenant_id IN {tenants:Array(String)}
    AND i.customer_id IN {customers:Array(String)}
    AND i.offset IN {offsets:Array(UInt64)}
SETTINGS max_threads = 1

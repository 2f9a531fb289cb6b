-- A row is one customer, out of some, who was erased, and when last.
SELECT
    tenant_id,
    customer_hash,
    toUnixTimestamp64Milli(max(erased_at)) AS erased_at_ms
FROM erasures
WHERE tenant_id IN {tenants:Array(String)}
    AND customer_hash IN {hashes:Array(String)}
GROUP BY tenant_id, customer_hash

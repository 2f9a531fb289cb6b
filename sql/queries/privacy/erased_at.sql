-- A row is one of the given customers who was erased, with the time of the latest erasure.
SELECT
    tenant_id,
    customer_hash,
    toUnixTimestamp64Milli(max(erased_at)) AS erased_at_ms
FROM erasures
WHERE tenant_id IN {tenants:Array(String)}
    AND customer_hash IN {hashes:Array(String)}
GROUP BY tenant_id, customer_hash

-- A row is one erased customer whose tombstones were written since some time, with the latest erasure.
SELECT
    tenant_id,
    customer_hash,
    toUnixTimestamp64Milli(max(erased_at)) AS erased_at_ms,
    argMax(receipt_id, erased_at) AS receipt_id,
    toUnixTimestamp64Milli(max(e.stored_at)) AS stored_at_ms,
    toUnixTimestamp64Milli(tupleElement(argMax(tuple(completed_at), (erased_at, e.stored_at)), 1)) AS completed_at_ms
FROM erasures AS e
WHERE (tenant_id, customer_hash) IN
(
    SELECT tenant_id, customer_hash FROM erasures
    WHERE erasures.stored_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
)
GROUP BY tenant_id, customer_hash

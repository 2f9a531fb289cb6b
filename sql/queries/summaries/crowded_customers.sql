-- A row is one customer, behind a given one in the order of tenants and ids, with at least so many summary rows that
-- count something in closed blocks. Erased customers are left out: their rows belong to the erasure. So are customers
-- with a pending repair.
-- Frames: open_blocks (source, block, first_offset, next_offset).
WITH candidates AS
(
    SELECT tenant_id, customer_id
    FROM interaction_summary_state
    WHERE (tenant_id, customer_id) > ({after_tenant:String}, {after_customer:String}) AND block > 0
    GROUP BY tenant_id, customer_id
    HAVING count() >= {rows:UInt32}
    ORDER BY tenant_id, customer_id
)
SELECT toString(s.tenant_id) AS tenant_id, s.customer_id AS customer_id
FROM interaction_summary_state AS s FINAL
INNER JOIN open_blocks AS b ON b.source = s.source
WHERE (s.tenant_id, s.customer_id) IN (SELECT tenant_id, customer_id FROM candidates)
    AND (s.tenant_id, lower(hex(SHA256(concat(s.tenant_id, '\0', s.customer_id))))) NOT IN
    (
        SELECT tenant_id, customer_hash FROM erasures
    )
    AND (s.tenant_id, s.customer_id) NOT IN (SELECT tenant_id, customer_id FROM summary_repairs FINAL WHERE is_done = 0)
    AND s.block > 0 AND s.block < b.block
    AND s.impressions + s.positive + s.negative + s.neutral > 0
GROUP BY s.tenant_id, s.customer_id
HAVING count() >= {rows:UInt32}
ORDER BY tenant_id, customer_id
LIMIT {limit:UInt32}

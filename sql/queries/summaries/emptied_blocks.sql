-- A row is one customer in one source, named by a hash, and the last of the first blocks in which no row has counted
-- anything for some time.
SELECT
    hex(sipHash128(tenant_id, customer_id, source)) AS customer_hash,
    if(
        countIf(counted > 0 OR written_at >= now64(3) - {seconds:Int32}) > 0,
        minIf(block, counted > 0 OR written_at >= now64(3) - {seconds:Int32}) - 1,
        max(block)
    ) AS until_block
FROM
(
    SELECT
        s.tenant_id AS tenant_id,
        s.customer_id AS customer_id,
        toString(s.source) AS source,
        s.block AS block,
        sum(s.impressions + s.positive + s.negative + s.neutral) AS counted,
        max(s.stored_at) AS written_at
    FROM interaction_summary_state AS s FINAL
    WHERE s.block > 0 AND (s.tenant_id, s.customer_id) IN
    (
        SELECT tenant_id, customer_id
        FROM interaction_summary_state
        WHERE block > 0 AND impressions + positive + negative + neutral = 0
    )
    GROUP BY s.tenant_id, s.customer_id, s.source, s.block
)
GROUP BY tenant_id, customer_id, source
HAVING until_block > 0 AND min(block) <= until_block
LIMIT {limit:UInt32}

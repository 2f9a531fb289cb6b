-- A row is one whole recommendation, the newest first. The page is cut from table decision_places, which is small.
WITH page AS
(
    SELECT recommendation_id, customer_id
    FROM decision_places FINAL
    WHERE tenant_id = {tenant_id:String}
        AND ({recommendation_id:String} = '' OR recommendation_id = {recommendation_id:String})
        AND ({customer_id:String} = '' OR customer_id = {customer_id:String})
        AND decided_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND decided_at < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC')
    ORDER BY decided_at DESC, recommendation_id DESC, customer_id
    LIMIT {limit:UInt32} OFFSET {offset:UInt32}
)
SELECT
    d.customer_id AS customer_id,
    d.recommendation_id AS recommendation_id,
    toUnixTimestamp64Milli(d.decided_at) AS decided_at_ms,
    d.decision AS decision
FROM decisions AS d FINAL
WHERE d.tenant_id = {tenant_id:String}
    AND (d.customer_id, d.recommendation_id) IN (SELECT customer_id, recommendation_id FROM page)
ORDER BY d.decided_at DESC, recommendation_id DESC, customer_id

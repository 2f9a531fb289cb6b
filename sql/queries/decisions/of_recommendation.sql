-- A row is one whole recommendation; there is one, unless a producer used the same id for several customers.
SELECT
    d.customer_id AS customer_id,
    d.recommendation_id AS recommendation_id,
    toUnixTimestamp64Milli(d.decided_at) AS decided_at_ms,
    d.decision AS decision
FROM decisions AS d
WHERE d.tenant_id = {tenant_id:String}
    AND d.recommendation_id = {recommendation_id:String}
    AND d.customer_id IN (
        SELECT customer_id
        FROM decision_places
        WHERE tenant_id = {tenant_id:String} AND recommendation_id = {recommendation_id:String}
    )
ORDER BY customer_id
LIMIT 1 BY customer_id

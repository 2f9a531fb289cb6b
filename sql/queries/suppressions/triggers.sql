-- A row is one of the latest events of a customer with one of some outcomes, newest first: what suppressions follow from.
SELECT
    customer_id,
    id,
    toString(outcome) AS outcome,
    offer_id,
    toUnixTimestamp64Milli(occurred_at) AS at_ms
FROM interactions FINAL
WHERE tenant_id = {tenant_id:String}
    AND customer_id IN {customer_ids:Array(String)}
    AND outcome IN {outcomes:Array(String)}
ORDER BY customer_id, id DESC
LIMIT {limit:UInt32} BY customer_id

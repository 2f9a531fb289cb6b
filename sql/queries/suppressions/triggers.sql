-- A row is one of the latest events of a customer with one of some outcomes, of each outcome and offer, newest first;
-- they trigger suppressions.
-- An event dated ahead counts when it was received.
SELECT
    customer_id,
    id,
    toString(outcome) AS outcome,
    offer_id,
    toUnixTimestamp64Milli(least(occurred_at, received_at)) AS at_ms
FROM interaction_log FINAL
WHERE tenant_id = {tenant_id:String}
    AND customer_id IN {customer_ids:Array(String)}
    AND outcome IN {outcomes:Array(String)}
ORDER BY customer_id, id DESC
LIMIT {limit:UInt32} BY customer_id, outcome, offer_id

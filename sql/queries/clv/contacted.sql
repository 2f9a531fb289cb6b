-- A row is one of the given customers who was ever contacted.
SELECT DISTINCT customer_id
FROM interaction_summary_state
WHERE tenant_id = {tenant_id:String}
    AND customer_id IN {customer_ids:Array(String)}
    AND impressions + positive + negative + neutral > 0

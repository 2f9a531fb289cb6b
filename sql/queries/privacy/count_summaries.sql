-- The one row is the number of summary rows of some customers.
SELECT count() AS rows
FROM interaction_summary_state FINAL
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}

-- One row: how many summary rows some customers have.
SELECT count() AS rows
FROM interaction_summary_state FINAL
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}

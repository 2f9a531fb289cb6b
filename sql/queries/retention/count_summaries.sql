-- One row: how many summary rows of a tenant are of periods before one.
SELECT count() AS rows
FROM interaction_summary_state
WHERE tenant_id = {tenant_id:String} AND period_type = {period_type:String} AND period_key < {first_key:String}

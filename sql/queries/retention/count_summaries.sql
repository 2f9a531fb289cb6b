-- The one row is the number of a tenant's summary rows of periods before one.
SELECT count() AS rows
FROM interaction_summary_state
WHERE tenant_id = {tenant_id:String} AND period_type = {period_type:String} AND period_key < {first_key:String}

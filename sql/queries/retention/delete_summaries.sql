-- Deletes a tenant's summary rows of periods before one.
ALTER TABLE interaction_summary_state
DELETE WHERE tenant_id = {tenant_id:String} AND period_type = {period_type:String} AND period_key < {first_key:String}
SETTINGS mutations_sync = 2

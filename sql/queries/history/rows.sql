-- A row is one interaction out of a list. Frame: wanted_rows (tenant_id, customer_id, id).
SELECT *
FROM interaction_history
WHERE (tenant_id, customer_id, id) IN (SELECT tenant_id, customer_id, id FROM wanted_rows)

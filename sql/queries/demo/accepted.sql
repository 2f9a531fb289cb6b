-- One row: how many interactions of a tenant the history holds.
SELECT count() AS events, uniqExact(customer_id) AS customers
FROM interaction_history
WHERE tenant_id = {tenant_id:String}

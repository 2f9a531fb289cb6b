-- The one row is the number of a tenant's interactions in the history.
SELECT count() AS events, uniqExact(customer_id) AS customers
FROM interactions
WHERE tenant_id = {tenant_id:String}

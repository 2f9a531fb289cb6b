-- A row is one source in whose history some customers occur.
SELECT DISTINCT toString(source) AS source
FROM interaction_log
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}

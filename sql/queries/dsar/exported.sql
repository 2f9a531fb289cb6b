-- A row is a table with how many rows of it an export holds.
SELECT toString(table_name) AS table_name, count() AS rows
FROM dsar_exports
WHERE tenant_id = {tenant_id:String} AND request_id = {request_id:String} AND attempt = {attempt:UInt32}
GROUP BY table_name

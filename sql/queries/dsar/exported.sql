-- A row is a table with the number of its rows in an export.
SELECT toString(table_name) AS table_name, count() AS rows
FROM dsar_exports
WHERE tenant_id = {tenant_id:String} AND request_id = {request_id:String} AND attempt = {attempt:UInt32}
GROUP BY table_name

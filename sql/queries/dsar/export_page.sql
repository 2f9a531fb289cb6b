-- A row is one row of an export after a position, in their order.
SELECT toString(table_name) AS table_name, position, body
FROM dsar_exports
WHERE tenant_id = {tenant_id:String}
    AND request_id = {request_id:String}
    AND attempt = {attempt:UInt32}
    AND (table_name, position) > ({after_table:String}, {after_position:UInt64})
ORDER BY tenant_id, request_id, attempt, dsar_exports.table_name, position
LIMIT {limit:UInt32}

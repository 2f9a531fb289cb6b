-- One row: how many rows of a tenant in a table are from before a time.
SELECT count() AS rows
FROM {table:Identifier}
WHERE tenant_id = {tenant_id:String} AND {since:Identifier} < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC')

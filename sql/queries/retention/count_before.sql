-- The one row is the number of a tenant's rows in a table from before a time.
SELECT count() AS rows
FROM {table:Identifier}
WHERE tenant_id = {tenant_id:String} AND {since:Identifier} < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC')

-- Deletes a tenant's rows in a table from before a time.
ALTER TABLE {table:Identifier}
DELETE WHERE tenant_id = {tenant_id:String} AND {since:Identifier} < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC')
SETTINGS mutations_sync = 2

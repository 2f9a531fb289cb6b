-- Deletes the rows of a table, up to a time, that name one of some customers. By hash, because the text of a deletion
-- is stored.
ALTER TABLE {table:Identifier}
DELETE WHERE tenant_id = {tenant_id:String}
    AND lower(hex(SHA256(concat(tenant_id, '\0', {column:Identifier})))) IN {hashes:Array(String)}
    AND {since:Identifier} <= fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')
SETTINGS mutations_sync = 2

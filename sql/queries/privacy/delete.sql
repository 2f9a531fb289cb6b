-- Deletes every row of a table that names one of some customers. By hash, because the text of a deletion is stored.
ALTER TABLE {table:Identifier}
DELETE WHERE tenant_id = {tenant_id:String}
    AND lower(hex(SHA256(concat(tenant_id, '\0', {column:Identifier})))) IN {hashes:Array(String)}
SETTINGS mutations_sync = 2

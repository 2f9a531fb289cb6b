-- Deletes the rows that earlier attempts at an export have written.
ALTER TABLE dsar_exports
DELETE WHERE tenant_id = {tenant_id:String} AND request_id = {request_id:String} AND attempt < {attempt:UInt32}
SETTINGS mutations_sync = 2

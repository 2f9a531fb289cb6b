-- Deletes the states of a request before one of them, as they still name its subject.
ALTER TABLE dsar_requests
DELETE WHERE tenant_id = {tenant_id:String} AND request_id = {request_id:String} AND revision < {revision:UInt32}
SETTINGS mutations_sync = 2

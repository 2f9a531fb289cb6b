-- Deletes the data subject requests about some customers up to a time, with their results, except one request.
ALTER TABLE dsar_requests
DELETE WHERE tenant_id = {tenant_id:String}
    AND lower(hex(SHA256(concat(tenant_id, '\0', subject_id)))) IN {hashes:Array(String)}
    AND request_id != {request_id:String}
    AND requested_at <= fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')
SETTINGS mutations_sync = 2

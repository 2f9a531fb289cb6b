-- A row is the newest state of one request of a tenant, the newest request first, with the number of all requests.
SELECT
    tenant_id,
    request_id,
    request_type,
    subject_id,
    subject_type,
    requested_by,
    toUnixTimestamp64Milli(requested_at) AS requested_at_ms,
    status,
    attempts,
    toUnixTimestamp64Milli(taken_at) AS taken_at_ms,
    toUnixTimestamp64Milli(completed_at) AS completed_at_ms,
    if({request_id:String} = '', '', result) AS result,
    revision
FROM dsar_requests FINAL
WHERE tenant_id = {tenant_id:String}
    AND ({request_id:String} = '' OR request_id = {request_id:String})
    AND ({status:String} = '' OR status = {status:String})
    AND ({request_type:String} = '' OR request_type = {request_type:String})
ORDER BY requested_at DESC, request_id DESC
LIMIT {limit:UInt32}

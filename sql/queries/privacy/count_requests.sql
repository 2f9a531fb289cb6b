-- The one row is the number of data subject requests about some customers, except one request.
SELECT count() AS rows
FROM dsar_requests
WHERE tenant_id = {tenant_id:String}
    AND subject_id IN {customer_ids:Array(String)}
    AND request_id != {request_id:String}
    AND requested_at <= fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')

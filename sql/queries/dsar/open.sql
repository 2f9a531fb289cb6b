-- A row is one request, of any tenant, that waits or whose process has not been heard of for a while; the oldest first.
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
    result,
    revision
FROM dsar_requests FINAL
WHERE status = 'queued'
    OR (status = 'processing' AND taken_at < fromUnixTimestamp64Milli({taken_before_ms:Int64}, 'UTC'))
ORDER BY requested_at, request_id
LIMIT 10

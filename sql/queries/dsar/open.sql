-- A row is the oldest request of a tenant that waits or whose process has been silent for a while; the oldest first. A
-- failed request waits twice as long after each attempt, beginning with two seconds; meanwhile others of its tenant
-- come first.
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
WHERE (status = 'queued' AND (attempts = 0 OR taken_at_ms + 1000 * pow(2, attempts) <= {now_ms:Int64}))
    OR (status = 'processing' AND taken_at_ms + {taken_for_ms:Int64} <= {now_ms:Int64})
ORDER BY requested_at, request_id
LIMIT 1 BY tenant_id

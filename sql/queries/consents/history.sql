-- A row is one consent statement of one customer, the latest first.
SELECT
    purpose,
    status,
    source,
    toUnixTimestamp64Milli(stated_at) AS stated_at_ms,
    toUnixTimestamp64Milli(stored_at) AS stored_at_ms,
    changed_by
FROM consent_log FINAL
WHERE tenant_id = {tenant_id:String} AND customer_id = {customer_id:String}
ORDER BY stated_at DESC, stored_at DESC, purpose
LIMIT {limit:UInt32}

-- A row is the current consent of one customer to one purpose.
-- Frame: queried_customers (tenant_id, customer_id).
SELECT
    customer_id,
    toString(purpose) AS purpose,
    toString(status) AS status,
    toString(source) AS source,
    toUnixTimestamp64Milli(stated_at) AS stated_at_ms,
    toUnixTimestamp64Milli(granted_at) AS granted_at_ms,
    toUnixTimestamp64Milli(revoked_at) AS revoked_at_ms
FROM consents
WHERE (tenant_id, customer_id) IN (SELECT tenant_id, customer_id FROM queried_customers)
ORDER BY customer_id, purpose

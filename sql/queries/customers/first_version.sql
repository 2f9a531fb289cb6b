-- The row says when the first version of one customer was made; there is none if there never was one.
SELECT toUnixTimestamp64Milli(min(stored_at)) AS created_at_ms, max(version) AS versions
FROM customer_versions
WHERE tenant_id = {tenant_id:String} AND customer_id = {customer_id:String}
HAVING count() > 0

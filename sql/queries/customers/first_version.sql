-- The row is the time of the first version of one customer, and the number of versions; there is none if the customer
-- never existed.
SELECT toUnixTimestamp64Milli(min(stored_at)) AS created_at_ms, max(version) AS versions
FROM customer_versions
WHERE tenant_id = {tenant_id:String} AND customer_id = {customer_id:String}
HAVING count() > 0

-- A row is one segment of a tenant, with the number of customers in it at one computation.
SELECT toString(segment) AS segment, count() AS customers
FROM clv_scores FINAL
WHERE tenant_id = {tenant_id:String} AND computed_at = fromUnixTimestamp64Milli(toInt64({computed_at_ms:UInt64}), 'UTC')
GROUP BY segment

-- The one row is the number of recommendations that match some filters, each counted once.
SELECT uniqExact(recommendation_id, customer_id) AS total
FROM decision_places
WHERE tenant_id = {tenant_id:String}
    AND ({recommendation_id:String} = '' OR recommendation_id = {recommendation_id:String})
    AND ({customer_id:String} = '' OR customer_id = {customer_id:String})
    AND decided_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
    AND decided_at < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC')

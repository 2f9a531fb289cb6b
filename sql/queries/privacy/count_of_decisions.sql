-- The one row is the number of rows of a table derived from decisions that name some customers and whose decision is
-- gone.
SELECT count() AS rows
FROM {table:Identifier}
WHERE tenant_id = {tenant_id:String}
    AND customer_id IN {customer_ids:Array(String)}
    AND recommendation_id NOT IN
    (
        SELECT recommendation_id FROM decisions
        WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
            AND received_at > fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')
    )

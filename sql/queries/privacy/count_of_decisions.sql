-- One row: how many rows of a table that is made of decisions name some customers without a decision of theirs being
-- there.
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

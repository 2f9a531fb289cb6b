-- Deletes the rows of some customers in a table derived from decisions, where the decision was received up to a time.
ALTER TABLE {table:Identifier}
DELETE WHERE tenant_id = {tenant_id:String}
    AND lower(hex(SHA256(concat(tenant_id, '\0', customer_id)))) IN {hashes:Array(String)}
    AND recommendation_id NOT IN
    (
        SELECT recommendation_id FROM decisions
        WHERE tenant_id = {tenant_id:String}
            AND received_at > fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')
            AND lower(hex(SHA256(concat(tenant_id, '\0', customer_id)))) IN {hashes:Array(String)}
    )
SETTINGS mutations_sync = 2

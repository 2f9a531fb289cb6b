-- A row is one idempotency key, of a customer within a range, that the history holds twice within the horizon of duplicates.
SELECT tenant_id, customer_id, idempotency_key, count() AS times
FROM interaction_log AS i FINAL
WHERE (i.tenant_id > {from_tenant:String} OR (i.tenant_id = {from_tenant:String} AND i.customer_id >= {from_customer:String}))
    AND (
        {is_last:Bool}
        OR i.tenant_id < {until_tenant:String}
        OR (i.tenant_id = {until_tenant:String} AND i.customer_id < {until_customer:String})
    )
GROUP BY tenant_id, customer_id, idempotency_key
HAVING times > 1
    AND arrayMin(arrayPopFront(arrayDifference(arraySort(groupArray(toUnixTimestamp(received_at))))))
        <= {horizon_s:UInt32}
LIMIT {limit:UInt32}

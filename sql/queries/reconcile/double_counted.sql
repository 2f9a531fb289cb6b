-- A row is one idempotency key that the history holds twice within the horizon of duplicates.
SELECT tenant_id, customer_id, idempotency_key, count() AS times
FROM interaction_log FINAL
GROUP BY tenant_id, customer_id, idempotency_key
HAVING times > 1
    AND arrayMin(arrayPopFront(arrayDifference(arraySort(groupArray(toUnixTimestamp(received_at))))))
        <= {horizon_s:UInt32}
LIMIT {limit:UInt32}

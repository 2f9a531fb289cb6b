-- A row is the interaction of one claim that was accepted. Frame: claimed (tenant_id, customer_id, source, offset, item).
SELECT tenant_id, customer_id, source, offset, item, id, toUnixTimestamp64Milli(any(occurred_at)) AS occurred_at_ms
FROM interactions
WHERE (tenant_id, customer_id) IN (SELECT tenant_id, customer_id FROM claimed)
    AND (toString(source), offset, item) IN (SELECT source, offset, item FROM claimed)
GROUP BY tenant_id, customer_id, source, offset, item, id

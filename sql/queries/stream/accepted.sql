-- A row is an event of the batch's disputed keys that has been accepted: the history has its interaction.
-- Frame: disputed (tenant_id, customer_id, source, offset).
SELECT tenant_id, customer_id, source, offset, item
FROM interaction_log
WHERE (tenant_id, customer_id) IN (SELECT tenant_id, customer_id FROM disputed)
    AND (source, offset) IN (SELECT source, offset FROM disputed)
GROUP BY tenant_id, customer_id, source, offset, item

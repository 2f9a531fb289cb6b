-- A row is one summary row of an erased customer as it was before a batch, from the history: it counts messages that
-- the broker received after the erasure, up to the beginning of the batch. It has the columns of stream/summary_state,
-- whose rows may still count erased events.
-- Frames: erased_customers (tenant_id, customer_id, erased_at_ms), batch_starts (source, first_offset).
WITH counted AS
(
    SELECT i.tenant_id AS tenant_id, i.customer_id AS customer_id, i.source AS source, i.offset AS offset, i.item AS item
    FROM interaction_log AS i
    INNER JOIN erased_customers AS e ON e.tenant_id = i.tenant_id AND e.customer_id = i.customer_id
    INNER JOIN batch_starts AS b ON b.source = i.source
    WHERE (i.tenant_id, i.customer_id) IN (SELECT tenant_id, customer_id FROM erased_customers)
        AND i.received_at > fromUnixTimestamp64Milli(e.erased_at_ms)
        AND i.offset < b.first_offset
)
SELECT
    tenant_id,
    customer_id,
    period_type,
    period_key,
    offer_id,
    creative_id,
    channel_id,
    source,
    max(c.offset) AS applied_offset,
    sum(c.impressions) AS impressions,
    sum(c.positive) AS positive,
    sum(c.negative) AS negative,
    sum(c.neutral) AS neutral,
    sum(c.converts) AS converts,
    sum(c.value) AS total_value,
    toUnixTimestamp64Milli(max(occurred_at)) AS last_contact_at_ms,
    argMax(outcome, (occurred_at, offset, item)) AS last_outcome,
    argMax(direction, (occurred_at, offset, item)) AS last_direction
FROM interaction_contacts AS c
WHERE (tenant_id, customer_id) IN (SELECT tenant_id, customer_id FROM erased_customers)
    AND (tenant_id, customer_id, source, offset, item) IN (SELECT tenant_id, customer_id, source, offset, item FROM counted)
GROUP BY tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source

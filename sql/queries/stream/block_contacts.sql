-- A row is one contact that the open block of its source counts, once, however often its message was applied: of all
-- customers, or of some erased ones, of whom only what the broker received after the erasure counts. For all customers
-- it reads the offsets of the whole history, and the other columns of these contacts only: once after a start.
-- Frames: open_blocks (source, block, first_offset, next_offset), erased_customers (tenant_id, customer_id,
-- erased_at_ms).
SELECT
    i.tenant_id AS tenant_id,
    i.customer_id AS customer_id,
    any(i.offer_id) AS offer_id,
    any(i.creative_id) AS creative_id,
    any(i.channel_id) AS channel_id,
    i.source AS source,
    any(b.block) AS block,
    any(i.local_date) AS local_date,
    i.offset AS offset,
    i.item AS item,
    toUnixTimestamp64Milli(any(i.occurred_at)) AS occurred_at_ms,
    any(i.category) AS category,
    any(i.classification) AS classification,
    any(i.is_conversion) AS is_conversion,
    any(i.conversion_value) AS conversion_value,
    any(i.outcome) AS outcome,
    any(i.direction) AS direction
FROM interaction_log AS i
INNER JOIN open_blocks AS b ON b.source = i.source
LEFT JOIN erased_customers AS e ON e.tenant_id = i.tenant_id AND e.customer_id = i.customer_id
WHERE ({all_customers:Bool} OR (i.tenant_id, i.customer_id) IN (SELECT tenant_id, customer_id FROM erased_customers))
    AND i.source IN (SELECT source FROM open_blocks)
    AND i.offset >= (SELECT min(first_offset) FROM open_blocks)
    AND i.offset >= b.first_offset
    AND i.offset < b.next_offset
    AND i.received_at > fromUnixTimestamp64Milli(e.erased_at_ms)
    AND i.category != 'recommendation'
GROUP BY i.tenant_id, i.customer_id, i.source, i.offset, i.item

-- A row is an accepted event by which a customer may enter a journey, from a range of a log that was not searched yet.
-- Frame: log_ranges (source, from_offset, until_offset).
SELECT
    toString(i.tenant_id) AS tenant_id,
    i.customer_id AS customer_id,
    i.id AS id,
    toUnixTimestamp64Milli(i.occurred_at) AS occurred_at_ms,
    toUnixTimestamp64Milli(i.received_at) AS received_at_ms,
    toString(i.outcome) AS outcome,
    i.offer_id AS offer_id,
    i.creative_id AS creative_id,
    i.channel_id AS channel_id,
    toFloat64(i.conversion_value) AS conversion_value,
    toString(i.source) AS source,
    i.offset AS offset,
    i.item AS item
FROM interaction_log AS i FINAL
INNER JOIN log_ranges AS s ON s.source = i.source
WHERE i.tenant_id IN {tenants:Array(String)}
    AND i.outcome IN {outcomes:Array(String)}
    AND i.received_at >= {received_since:DateTime64(3, 'UTC')}
    AND i.offset >= s.from_offset
    AND i.offset < s.until_offset
ORDER BY i.source, i.offset, i.item

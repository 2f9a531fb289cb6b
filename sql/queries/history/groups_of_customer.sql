-- A row is a group of events of a customer with a long history that are alike in all properties that decisions use.
-- bucket is the number of the given instants, ascending, up to the time at which the events count, and named_bucket the
-- same for their own times: so one read answers all windows. An event counts at the latest when it was received.
-- Contacts count up to the applied offsets of the summary rows; recommendations, which no summary counts, all count.
-- Frame: applied_offsets (customer_id, offer_id, creative_id, channel_id, source, applied_offset).
WITH arrayMap(at -> fromUnixTimestamp64Milli(at, 'UTC'), {starts:Array(Int64)}) AS starts
SELECT
    e.offer_id AS offer_id,
    e.creative_id AS creative_id,
    e.channel_id AS channel_id,
    toString(e.outcome) AS outcome,
    toString(e.classification) AS classification,
    toString(e.category) AS category,
    e.is_conversion AS is_conversion,
    toString(e.direction) AS direction,
    toUInt32(arrayCount(start -> least(e.occurred_at, e.received_at) >= start, starts)) AS bucket,
    toUInt32(arrayCount(start -> e.occurred_at >= start, starts)) AS named_bucket,
    count() AS events,
    toUnixTimestamp64Milli(max(least(e.occurred_at, e.received_at))) AS latest_ms,
    count(e.conversion_value) AS values,
    toString(sum(e.conversion_value)) AS total,
    toString(min(e.conversion_value)) AS least,
    toString(max(e.conversion_value)) AS most
FROM interaction_log AS e FINAL
LEFT JOIN applied_offsets AS r
    ON r.customer_id = e.customer_id
    AND r.offer_id = e.offer_id
    AND r.creative_id = e.creative_id
    AND r.channel_id = e.channel_id
    AND r.source = toString(e.source)
WHERE e.tenant_id = {tenant_id:String}
    AND e.customer_id IN {customer_ids:Array(String)}
    AND e.id >= {from_id:String}
    AND (e.category = 'recommendation' OR (r.source != '' AND e.offset <= r.applied_offset))
GROUP BY offer_id, creative_id, channel_id, outcome, classification, category, is_conversion, direction, bucket, named_bucket

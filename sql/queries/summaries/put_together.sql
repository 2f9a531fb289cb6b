-- Puts the closed blocks of some customers, in one source, together into block 0, and empties their rows. The version of
-- block 0 is the last offset that closed blocks may count, that of emptied rows one more: so no writer that was
-- suspended while the block was open can bring one back. One insert, so a reader sees all of it or nothing.
INSERT INTO interaction_summary_state
(
    tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source, block, applied_offset,
    impressions, positive, negative, neutral, converts, total_value, last_contact_at, last_outcome, last_direction
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
    into_block,
    if(into_block = 0, {block_from:UInt64} - 1, {block_from:UInt64}),
    sumIf(c.impressions, into_block = 0),
    sumIf(c.positive, into_block = 0),
    sumIf(c.negative, into_block = 0),
    sumIf(c.neutral, into_block = 0),
    sumIf(c.converts, into_block = 0),
    sumIf(c.total_value, into_block = 0),
    maxIf(c.last_contact_at, into_block = 0),
    argMaxIf(c.last_outcome, (c.last_contact_at, c.block), into_block = 0),
    argMaxIf(c.last_direction, (c.last_contact_at, c.block), into_block = 0)
FROM
(
    SELECT s.*, arrayJoin(if(s.block = 0, [toUInt32(0)], [toUInt32(0), s.block])) AS into_block
    FROM interaction_summary_state AS s FINAL
    WHERE s.tenant_id = {tenant_id:String}
        AND s.customer_id IN {customer_ids:Array(String)}
        AND s.source = {source:String}
        AND s.block < {block:UInt32}
        AND s.impressions + s.positive + s.negative + s.neutral > 0
) AS c
GROUP BY
    tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source, into_block

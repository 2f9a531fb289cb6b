-- Rewrites every summary row of the customers of one repair, in one source, from the history up to an offset: what
-- closed blocks count into block 0, what the open block counts into that. Rows that the history does not support become
-- zero; periods of which retention may have deleted events stay unchanged. No row that counts in a block can be newer
-- than its new version: of block 0 and of the open block the last offset that may count, of emptied blocks one more.
INSERT INTO interaction_summary_state
(
    tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source, block, applied_offset,
    impressions, positive, negative, neutral, converts, total_value, last_contact_at, last_outcome, last_direction
)
SELECT
    c.tenant_id,
    customer_id,
    c.period_type,
    period_key,
    offer_id,
    creative_id,
    channel_id,
    source,
    c.block AS into_block,
    toUInt64(multiIf(
        into_block = {block:UInt32}, toInt64({next_offset:UInt64}) - 1,
        into_block = 0, greatest(toInt64({block_from:UInt64}) - 1, 0),
        toInt64({block_from:UInt64})
    )),
    sum(c.impressions),
    sum(c.positive),
    sum(c.negative),
    sum(c.neutral),
    sum(c.converts),
    sum(c.value),
    max(occurred_at),
    argMax(outcome, (occurred_at, offset, item)),
    argMax(direction, (occurred_at, offset, item))
FROM
(
    SELECT
        tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source,
        if(offset < {block_from:UInt64}, 0, {block:UInt32}) AS block,
        offset, item, impressions, positive, negative, neutral, converts, value, occurred_at, outcome, direction
    FROM interaction_contacts
    WHERE (tenant_id, customer_id) IN (
            SELECT tenant_id, customer_id FROM summary_repairs FINAL
            WHERE repair_id = {repair_id:String} AND source = {source:String} AND is_done = 0
        )
        AND source = {source:String}
        AND offset < {next_offset:UInt64}
    UNION ALL
    SELECT
        tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source, block,
        0, 0, 0, 0, 0, 0, 0, 0, toDateTime64(0, 3, 'UTC'), '', ''
    FROM interaction_summary_state FINAL
    WHERE (tenant_id, customer_id) IN (
            SELECT tenant_id, customer_id FROM summary_repairs FINAL
            WHERE repair_id = {repair_id:String} AND source = {source:String} AND is_done = 0
        )
        AND source = {source:String}
        AND block <= {block:UInt32}
) AS c
LEFT JOIN
(
    SELECT tenant_id, period_type, max(first_key) AS first_key FROM retention_horizons GROUP BY tenant_id, period_type
) AS h ON h.tenant_id = c.tenant_id AND h.period_type = c.period_type
WHERE c.period_key >= h.first_key
GROUP BY c.tenant_id, customer_id, c.period_type, period_key, offer_id, creative_id, channel_id, source, c.block

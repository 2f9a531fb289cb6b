-- Writes the summary rows of some customers in one source from the history, up to the offset that has been applied: what
-- closed blocks count into block 0, what the open block counts into that. The version of a row is the last message that
-- it counts, as the stream writes it.
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
    if(c.offset < {block_from:UInt64}, 0, {block:UInt32}) AS block,
    max(c.offset),
    sum(c.impressions),
    sum(c.positive),
    sum(c.negative),
    sum(c.neutral),
    sum(c.converts),
    sum(c.value),
    max(occurred_at),
    argMax(outcome, (occurred_at, offset, item)),
    argMax(direction, (occurred_at, offset, item))
FROM interaction_contacts AS c
WHERE tenant_id = {tenant_id:String}
    AND customer_id IN {customer_ids:Array(String)}
    AND source = {source:String}
    AND offset < {next_offset:UInt64}
GROUP BY tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source, block

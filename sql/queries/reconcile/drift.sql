-- A row is one key of summary rows, of one source, of a customer within a range, whose blocks together differ from the
-- history. The range is written so that the engine finds it by the sorting key, which it does not for pairs. Each is compared at
-- the offset up to which it is complete: the recorded progress, or further if one of its rows already is (rows that
-- count nothing do not tell). That holds while workers run, because they write the history first. Periods of which retention may have deleted events are left out.
-- Frames: progress (source, next_offset), suspects (tenant_id, customer_id).
WITH
    horizons AS
    (
        SELECT tenant_id, period_type, max(first_key) AS first_key
        FROM retention_horizons
        GROUP BY tenant_id, period_type
    ),
    actual AS
    (
        SELECT
            s.tenant_id AS tenant_id,
            s.customer_id AS customer_id,
            s.period_type AS period_type,
            s.period_key AS period_key,
            s.offer_id AS offer_id,
            s.creative_id AS creative_id,
            s.channel_id AS channel_id,
            s.source AS source,
            maxIf(s.applied_offset, s.impressions + s.positive + s.negative + s.neutral > 0) AS applied_offset,
            sum(s.impressions) AS impressions,
            sum(s.positive) AS positive,
            sum(s.negative) AS negative,
            sum(s.neutral) AS neutral,
            sum(s.converts) AS converts,
            sum(s.total_value) AS total_value,
            max(s.last_contact_at) AS last_contact_at,
            argMax(s.last_outcome, (s.last_contact_at, s.block)) AS last_outcome,
            argMax(s.last_direction, (s.last_contact_at, s.block)) AS last_direction
        FROM interaction_summary_state AS s FINAL
        LEFT JOIN horizons AS h ON h.tenant_id = s.tenant_id AND h.period_type = s.period_type
        WHERE (s.tenant_id > {from_tenant:String} OR (s.tenant_id = {from_tenant:String} AND s.customer_id >= {from_customer:String}))
            AND (
                {is_last:Bool}
                OR s.tenant_id < {until_tenant:String}
                OR (s.tenant_id = {until_tenant:String} AND s.customer_id < {until_customer:String})
            )
            AND ({all_customers:Bool} OR (s.tenant_id, s.customer_id) IN (SELECT tenant_id, customer_id FROM suspects))
            AND s.period_key >= h.first_key
            AND s.source IN (SELECT source FROM progress) -- a source whose first batch is being written has none yet
        GROUP BY
            s.tenant_id, s.customer_id, s.period_type, s.period_key, s.offer_id, s.creative_id, s.channel_id, s.source
    ),
    complete AS
    (
        SELECT
            c.tenant_id AS tenant_id,
            c.customer_id AS customer_id,
            c.period_type AS period_type,
            c.period_key AS period_key,
            c.offer_id AS offer_id,
            c.creative_id AS creative_id,
            c.channel_id AS channel_id,
            c.source AS source,
            c.offset AS offset,
            c.item AS item,
            c.impressions AS impressions,
            c.positive AS positive,
            c.negative AS negative,
            c.neutral AS neutral,
            c.converts AS converts,
            c.value AS value,
            c.occurred_at AS occurred_at,
            c.outcome AS outcome,
            c.direction AS direction,
            greatest(a.applied_offset, toUInt64(ifNull(p.next_offset, 1) - 1)) AS complete_to
        FROM interaction_contacts AS c
        LEFT JOIN actual AS a USING (
            tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source
        )
        INNER JOIN progress AS p ON p.source = c.source
        LEFT JOIN horizons AS h ON h.tenant_id = c.tenant_id AND h.period_type = c.period_type
        WHERE (c.tenant_id > {from_tenant:String} OR (c.tenant_id = {from_tenant:String} AND c.customer_id >= {from_customer:String}))
            AND (
                {is_last:Bool}
                OR c.tenant_id < {until_tenant:String}
                OR (c.tenant_id = {until_tenant:String} AND c.customer_id < {until_customer:String})
            )
            AND ({all_customers:Bool} OR (c.tenant_id, c.customer_id) IN (SELECT tenant_id, customer_id FROM suspects))
            AND c.period_key >= h.first_key
            AND c.offset <= complete_to
    ),
    expected AS
    (
        SELECT
            tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source,
            sum(c.impressions) AS impressions,
            sum(c.positive) AS positive,
            sum(c.negative) AS negative,
            sum(c.neutral) AS neutral,
            sum(c.converts) AS converts,
            sum(c.value) AS total_value,
            max(c.occurred_at) AS last_contact_at,
            argMax(c.outcome, (c.occurred_at, c.offset, c.item)) AS last_outcome,
            argMax(c.direction, (c.occurred_at, c.offset, c.item)) AS last_direction
        FROM complete AS c
        GROUP BY tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source
    )
SELECT
    if(e.tenant_id != '', e.tenant_id, a.tenant_id) AS tenant_id,
    if(e.tenant_id != '', e.customer_id, a.customer_id) AS customer_id,
    if(e.tenant_id != '', e.period_type, a.period_type) AS period_type,
    if(e.tenant_id != '', e.period_key, a.period_key) AS period_key,
    if(e.tenant_id != '', e.offer_id, a.offer_id) AS offer_id,
    if(e.tenant_id != '', e.creative_id, a.creative_id) AS creative_id,
    if(e.tenant_id != '', e.channel_id, a.channel_id) AS channel_id,
    if(e.tenant_id != '', e.source, a.source) AS source,
    toInt64(a.impressions + a.positive + a.negative + a.neutral)
        - toInt64(e.impressions + e.positive + e.negative + e.neutral) AS contacts_off,
    toInt64(a.converts) - toInt64(e.converts) AS converts_off,
    a.total_value - e.total_value AS value_off
FROM expected AS e
FULL OUTER JOIN actual AS a ON
    a.tenant_id = e.tenant_id AND a.customer_id = e.customer_id AND a.period_type = e.period_type
    AND a.period_key = e.period_key AND a.offer_id = e.offer_id AND a.creative_id = e.creative_id
    AND a.channel_id = e.channel_id AND a.source = e.source
WHERE (a.impressions, a.positive, a.negative, a.neutral, a.converts, a.total_value)
        != (e.impressions, e.positive, e.negative, e.neutral, e.converts, e.total_value)
    OR (
        e.tenant_id != ''
        AND (a.last_contact_at, a.last_outcome, a.last_direction)
            != (e.last_contact_at, e.last_outcome, e.last_direction)
    )

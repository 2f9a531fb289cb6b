-- A row is one version of one summary row that the batch may change. Versions that a merge has not yet removed are
-- returned too; the caller keeps the highest applied_offset, of equals the last stored (a repair), which is cheaper than
-- FINAL. What is packed is read instead of the columns, which would cost twice as much, and begins with the period's key.
-- Customers narrow the primary key, the hash leaves out their other offers and channels; that it may collide is harmless.
-- Frames: batch_subjects (tenant_id, customer_id, offer_id, creative_id, channel_id), batch_periods (period_key),
-- batch_sources (source).
SELECT
    tenant_id,
    customer_id,
    summary.period_type AS period_type,
    summary.period_key AS period_key,
    summary.offer_id AS offer_id,
    summary.creative_id AS creative_id,
    summary.channel_id AS channel_id,
    summary.source AS source,
    summary.applied_offset AS applied_offset,
    summary.impressions AS impressions,
    summary.positive AS positive,
    summary.negative AS negative,
    summary.neutral AS neutral,
    summary.converts AS converts,
    summary.total_value AS total_value,
    summary.last_contact_at_ms AS last_contact_at_ms,
    summary.last_outcome AS last_outcome,
    summary.last_direction AS last_direction,
    summary.stored_at_ms AS stored_at_ms
FROM
(
    SELECT
        tenant_id,
        customer_id,
        JSONExtract(
            packed,
            'Tuple(
                period_key String, period_type String, offer_id String, creative_id String, channel_id String,
                source String, applied_offset UInt64, stored_at_ms Int64, impressions UInt64, positive UInt64,
                negative UInt64, neutral UInt64, converts UInt64, total_value Decimal(38, 6), last_contact_at_ms Int64,
                last_outcome String, last_direction String
            )'
        ) AS summary
    FROM interaction_summary_state
    WHERE (tenant_id, customer_id) IN (SELECT tenant_id, customer_id FROM batch_subjects)
        AND substringIndex(packed, ',', 1) IN (SELECT concat('["', period_key, '"') FROM batch_periods)
)
WHERE cityHash64(customer_id, offer_id, creative_id, channel_id) IN (
        SELECT cityHash64(customer_id, offer_id, creative_id, channel_id) FROM batch_subjects
    )
    AND source IN (SELECT source FROM batch_sources)

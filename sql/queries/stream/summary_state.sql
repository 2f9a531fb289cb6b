-- A row is one version of one summary row that the batch may change. Versions that a merge has not yet removed are
-- returned too; the caller keeps the highest applied_offset, of equals the last stored (a repair), which is cheaper
-- than FINAL. The column packed is read instead of the columns it contains, at half their cost. Customers narrow the
-- primary key, the hash leaves out their other offers and channels; a collision of hashes is harmless.
-- Frames: batch_subjects (tenant_id, customer_id, offer_id, creative_id, channel_id), batch_periods (period_key),
-- batch_sources (source).
SELECT
    tenant_id,
    customer_id,
    period_type,
    period_key,
    offer_id,
    creative_id,
    channel_id,
    source,
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
        *,
        JSONExtract(
            packed,
            'Tuple(
                applied_offset UInt64, stored_at_ms Int64, impressions UInt64, positive UInt64, negative UInt64,
                neutral UInt64, converts UInt64, total_value Decimal(38, 6), last_contact_at_ms Int64,
                last_outcome String, last_direction String
            )'
        ) AS summary
    FROM interaction_summary_state AS s
    WHERE (tenant_id, customer_id) IN (SELECT tenant_id, customer_id FROM batch_subjects)
        AND cityHash64(customer_id, offer_id, creative_id, channel_id) IN (
            SELECT cityHash64(customer_id, offer_id, creative_id, channel_id) FROM batch_subjects
        )
        AND period_key IN (SELECT period_key FROM batch_periods)
        AND source IN (SELECT source FROM batch_sources)
)

-- A row is one version of one summary row that the batch may change. Versions that a merge has not yet removed are
-- returned too; the caller keeps the highest applied_offset, of equals the last stored (a repair), which is cheaper
-- than FINAL. The column packed is read instead of the columns it contains; the caller decodes it. Customers narrow the
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
    packed
FROM interaction_summary_state
WHERE (tenant_id, customer_id) IN (SELECT tenant_id, customer_id FROM batch_subjects)
    AND cityHash64(customer_id, offer_id, creative_id, channel_id) IN (
        SELECT cityHash64(customer_id, offer_id, creative_id, channel_id) FROM batch_subjects
    )
    AND period_key IN (SELECT period_key FROM batch_periods)
    AND source IN (SELECT source FROM batch_sources)

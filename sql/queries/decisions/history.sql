-- A row is what a customer's history holds of one offer, creative, channel and outcome in one window. Windows are asked for
-- in three ways: for counts; for the outcomes of fact_outcomes; for the impressions of the recommendations of
-- fact_exposures, each in a row of its own.
-- Only what the summary rows read before count already is looked at: the history is written before them, so both together
-- are one state of the stream. Windows are ranges of ids, because ids begin with the event time.
-- Frames: fact_windows (number, tenant_id, customer_id, window, purpose, from_id), fact_outcomes (outcome),
-- fact_exposures (recommendation_id), fact_applied (tenant_id, customer_id, offer_id, creative_id, channel_id, source,
-- applied_offset).
SELECT
    w.number AS number,
    w.window AS window,
    e.offer_id AS offer_id,
    e.creative_id AS creative_id,
    e.channel_id AS channel_id,
    e.outcome AS outcome,
    if(w.purpose = 'exposures', e.recommendation_id, '') AS exposure,
    if(w.purpose = 'exposures', e.rank, 0) AS rank,
    countIf(e.category = 'impression') AS impressions,
    countIf(e.category = 'response' AND e.classification = 'positive') AS positive,
    countIf(e.category = 'response' AND e.classification = 'negative') AS negative,
    countIf(e.category = 'response' AND e.classification = 'neutral') AS neutral,
    countIf(e.is_conversion) AS converts,
    toUnixTimestamp64Milli(max(e.occurred_at)) AS last_ms
FROM
(
    SELECT
        CAST(tenant_id AS String) AS tenant_id,
        customer_id,
        id,
        occurred_at,
        CAST(outcome AS String) AS outcome,
        CAST(classification AS String) AS classification,
        CAST(category AS String) AS category,
        is_conversion,
        offer_id,
        creative_id,
        channel_id,
        recommendation_id,
        rank,
        CAST(source AS String) AS source,
        offset
    FROM interactions FINAL
    WHERE (tenant_id, customer_id) IN (SELECT tenant_id, customer_id FROM fact_windows)
        AND id >= {first_id:String}
        AND category != 'recommendation'
) AS e
INNER JOIN fact_windows AS w ON w.tenant_id = e.tenant_id AND w.customer_id = e.customer_id
INNER JOIN fact_applied AS a
    ON a.tenant_id = e.tenant_id
    AND a.customer_id = e.customer_id
    AND a.offer_id = e.offer_id
    AND a.creative_id = e.creative_id
    AND a.channel_id = e.channel_id
    AND a.source = e.source
WHERE e.id >= w.from_id
    AND e.offset <= a.applied_offset
    AND (w.purpose != 'outcomes' OR e.outcome IN fact_outcomes)
    AND (w.purpose != 'exposures' OR (e.category = 'impression' AND e.recommendation_id IN fact_exposures))
GROUP BY number, window, offer_id, creative_id, channel_id, outcome, exposure, rank

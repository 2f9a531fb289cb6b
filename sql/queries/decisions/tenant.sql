-- A row is the totals of one offer on one channel over all customers of a tenant: over all time, and today's
-- impressions. Events dated tomorrow were received today and count today; tomorrow they count once more in tomorrow's
-- row, so a budget may end early, but never late.
SELECT
    s.offer_id AS offer_id,
    s.channel_id AS channel_id,
    sumIf(s.impressions, s.period_type = 'daily') AS shown_today,
    sumIf(s.impressions, s.period_type = 'alltime') AS shown,
    sumIf(s.positive, s.period_type = 'alltime') AS positive,
    sumIf(s.negative, s.period_type = 'alltime') AS negative
FROM interaction_summary_state AS s FINAL
WHERE s.tenant_id = {tenant_id:String}
    AND (s.period_type = 'alltime' OR (s.period_type = 'daily' AND s.period_key IN ({today:String}, {tomorrow:String})))
GROUP BY s.offer_id, s.channel_id

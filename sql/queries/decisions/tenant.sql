-- A row is what all customers of a tenant together did with one offer on one channel: ever, and shown today. What was dated
-- into tomorrow was received today and counts today; in tomorrow's row it counts once more tomorrow, so a budget ends early at worst.
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

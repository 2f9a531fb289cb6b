-- A row is one period type with the totals of its summaries, over all tenants.
SELECT
    period_type,
    count() AS rows,
    sum(s.impressions + s.positive + s.negative + s.neutral) AS contacts,
    sum(s.total_value) AS total_value
FROM interaction_summaries AS s
WHERE scope = 'offer'
GROUP BY period_type
ORDER BY period_type

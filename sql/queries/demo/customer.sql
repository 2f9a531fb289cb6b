-- A row is one period of one customer, over all offers and channels; the latest twelve of each period type.
SELECT
    period_type,
    period_key,
    sum(impressions) AS impressions,
    sum(positive) AS positive,
    sum(negative) AS negative,
    sum(converts) AS conversions,
    sum(total_value) AS value
FROM interaction_summaries
WHERE tenant_id = {tenant_id:String} AND customer_id = {customer_id:String} AND scope = 'channel'
GROUP BY period_type, period_key
ORDER BY indexOf(['daily', 'weekly', 'monthly', 'alltime'], period_type), period_key DESC
LIMIT 12 BY period_type

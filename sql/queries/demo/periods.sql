-- A row is one period type, with the totals of a tenant's summaries.
SELECT
    period_type,
    count() AS rows,
    uniqExact(customer_id) AS customers,
    uniqExact(period_key) AS periods,
    sum(impressions + positive + negative + neutral) AS contacts,
    sum(total_value) AS value
FROM interaction_summaries
WHERE tenant_id = {tenant_id:String} AND scope = 'offer'
GROUP BY period_type
ORDER BY indexOf(['daily', 'weekly', 'monthly', 'alltime'], period_type)

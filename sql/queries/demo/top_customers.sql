-- A row is one customer of a tenant, the highest value over all time first.
SELECT
    customer_id,
    sum(impressions + positive + negative + neutral) AS contacts,
    sum(converts) AS conversions,
    sum(total_value) AS value,
    max(last_contact_at) AS last_contact
FROM interaction_summaries
WHERE tenant_id = {tenant_id:String} AND scope = 'offer' AND period_type = 'alltime'
GROUP BY customer_id
ORDER BY value DESC, customer_id
LIMIT {limit:UInt32}

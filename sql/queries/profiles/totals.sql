-- The row is the totals of a customer's contacts over all time; there is none without contacts.
SELECT
    sum(impressions) AS impressions,
    sum(positive) AS positive,
    sum(negative) AS negative,
    sum(neutral) AS neutral,
    sum(converts) AS converts,
    toFloat64(sum(total_value)) AS total_value,
    toUnixTimestamp64Milli(max(last_contact_at)) AS last_contact_at_ms
FROM interaction_summary_state FINAL
WHERE tenant_id = {tenant_id:String}
    AND customer_id IN {customer_ids:Array(String)}
    AND period_type = 'alltime'
HAVING impressions + positive + negative + neutral > 0

-- A row is one period type with the totals of its summaries, over the customers within a range, of all tenants.
SELECT
    period_type,
    count() AS rows,
    sum(s.impressions + s.positive + s.negative + s.neutral) AS contacts,
    sum(s.total_value) AS total_value
FROM interaction_summaries AS s
WHERE scope = 'offer'
    AND (s.tenant_id > {from_tenant:String} OR (s.tenant_id = {from_tenant:String} AND s.customer_id >= {from_customer:String}))
    AND (
        {is_last:Bool}
        OR s.tenant_id < {until_tenant:String}
        OR (s.tenant_id = {until_tenant:String} AND s.customer_id < {until_customer:String})
    )
GROUP BY period_type
ORDER BY period_type

-- The one row is a customer of a tenant whose summaries fit on a screen and still show something: contacts on three or
-- four days, in more weeks than months; of these customers the one with the highest value. Any customer, if none is
-- like that.
SELECT customer_id
FROM interaction_summaries
WHERE tenant_id = {tenant_id:String} AND scope = 'channel'
GROUP BY customer_id
ORDER BY
    uniqExactIf(period_key, period_type = 'daily') IN (3, 4)
        AND uniqExactIf(period_key, period_type = 'weekly') > uniqExactIf(period_key, period_type = 'monthly')
        AND uniqExactIf(period_key, period_type = 'monthly') > 1 DESC,
    sum(total_value) DESC,
    customer_id
LIMIT 1

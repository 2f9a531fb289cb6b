-- A row is one customer of a sample of those who were ever contacted; the sample stays the same while there are no new
-- customers.
SELECT customer_id
FROM interaction_summary_state
WHERE tenant_id = {tenant_id:String} AND period_type = 'alltime'
GROUP BY customer_id
ORDER BY cityHash64(customer_id), customer_id
LIMIT {limit:UInt32}

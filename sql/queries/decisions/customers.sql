-- A row is one customer of a sample of those who were ever contacted: the same ones as long as nobody new comes in between.
SELECT customer_id
FROM interaction_summary_state
WHERE tenant_id = {tenant_id:String} AND period_type = 'alltime'
GROUP BY customer_id
ORDER BY cityHash64(customer_id), customer_id
LIMIT {limit:UInt32}

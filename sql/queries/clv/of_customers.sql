-- A row is the value of one customer as last computed.
SELECT
    customer_id,
    score,
    toString(segment) AS segment,
    recency_days,
    frequency,
    toFloat64(monetary) AS monetary,
    toUnixTimestamp64Milli(computed_at) AS computed_at_ms
FROM clv_scores FINAL
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}

-- A row is one customer who was contacted since a time, behind a given one, in the order of tenants and ids.
SELECT DISTINCT toString(tenant_id) AS tenant_id, customer_id
FROM interaction_summary_state
WHERE (tenant_id, customer_id) > ({after_tenant:String}, {after_customer:String})
    AND period_type = 'alltime'
    AND last_contact_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
ORDER BY tenant_id, customer_id
LIMIT {limit:UInt32}

-- A row is a segment that a customer is in, active or not. The caller pairs tenants with customers.
SELECT
    toString(tenant_id) AS tenant_id,
    customer_id,
    segment_id,
    toUnixTimestamp64Milli(member_since) AS member_since_ms
FROM segment_members FINAL
WHERE tenant_id IN {tenants:Array(String)}
    AND customer_id IN {customers:Array(String)}
    AND is_member
ORDER BY tenant_id, customer_id, segment_id

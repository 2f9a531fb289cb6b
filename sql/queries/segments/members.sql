-- A row is a member of a segment; one page, ordered by customer.
SELECT
    customer_id,
    toUnixTimestamp64Milli(member_since) AS member_since_ms
FROM segment_members FINAL
WHERE tenant_id = {tenant_id:String}
    AND customer_id > {after:String}
    AND segment_id = {segment_id:String}
    AND is_member
ORDER BY customer_id
LIMIT {limit:UInt32}

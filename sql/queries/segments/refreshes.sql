-- A row is the latest refresh of one segment of a tenant, with the number of members.
SELECT
    segment_id,
    version,
    customer_count,
    toUnixTimestamp64Milli(refreshed_at) AS refreshed_at_ms
FROM segment_refreshes FINAL
WHERE tenant_id = {tenant_id:String}

-- A row is a tenant with active segments that were never refreshed, or not since they changed, or not since a time.
-- Only the versions of the segments are read, not their filters.
SELECT DISTINCT s.tenant_id AS tenant_id
FROM
(
    SELECT toString(tenant_id) AS tenant_id, entity_id, version
    FROM catalogue_entities
    WHERE kind = 'segment' AND status = 'active' AND NOT is_deleted
) AS s
LEFT JOIN
(
    SELECT toString(tenant_id) AS tenant_id, segment_id, version, toUnixTimestamp64Milli(refreshed_at) AS refreshed_at_ms
    FROM segment_refreshes FINAL
) AS r ON r.tenant_id = s.tenant_id AND r.segment_id = s.entity_id
INNER JOIN (SELECT toString(tenant_id) AS tenant_id FROM tenants FINAL WHERE is_active) AS t ON t.tenant_id = s.tenant_id
WHERE r.refreshed_at_ms <= {before_ms:Int64} OR r.version != s.version
ORDER BY tenant_id

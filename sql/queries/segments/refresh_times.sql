-- A row is a tenant with active segments, and when the one of them that waits longest was refreshed: 0 if that was never,
-- or not since it changed. Only the versions of the segments are read, not their filters.
SELECT
    s.tenant_id AS tenant_id,
    min(if(r.version = s.version, r.refreshed_at_ms, 0)) AS refreshed_at_ms
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
GROUP BY tenant_id

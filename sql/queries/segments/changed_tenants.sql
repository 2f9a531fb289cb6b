-- A row is a tenant whose segments have got a version within the latest seconds, and when they got the newest, in
-- microseconds. Reads two columns, and no catalogue: it is asked every few seconds, for all tenants.
SELECT toString(tenant_id) AS tenant_id, toUnixTimestamp64Micro(max(stored_at)) AS changed_at_us
FROM catalogue_entity_versions
WHERE kind = 'segment' AND stored_at >= now64(6) - toIntervalSecond({seconds:UInt32})
GROUP BY tenant_id

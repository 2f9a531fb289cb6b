-- A row is one source and the offset at which its next batch starts, or one tenant with gaps in its customer states
-- (empty for all tenants) and the time of the newest gap.
SELECT 'source' AS kind, toString(source) AS name, max(next_offset) AS value
FROM stream_progress
WHERE source IN {sources:Array(String)}
GROUP BY source
UNION ALL
SELECT 'gap' AS kind, toString(tenant_id) AS name, toUInt64(toUnixTimestamp64Nano(max(recorded_at))) AS value
FROM state_gaps
GROUP BY tenant_id

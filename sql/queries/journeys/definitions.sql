-- A row is the newest version of a journey of an active tenant, and since when it has been active without a break.
SELECT
    v.tenant_id AS tenant_id,
    v.entity_id AS journey_id,
    argMax((v.version, toString(v.status), v.is_deleted, v.body), v.version) AS newest,
    newest.1 AS version,
    newest.2 AS status,
    newest.3 AS is_deleted,
    newest.4 AS body,
    toUnixTimestamp64Milli(minIf(v.stored_at, v.version > v.last_idle)) AS active_since_ms
FROM
(
    SELECT
        toString(tenant_id) AS tenant_id,
        entity_id,
        version,
        status,
        is_deleted,
        body,
        stored_at,
        max(if(status = 'active' AND NOT is_deleted, 0, version)) OVER (PARTITION BY tenant_id, entity_id) AS last_idle
    FROM catalogue_changes
    WHERE kind = 'journey'
) AS v
INNER JOIN (SELECT toString(tenant_id) AS tenant_id FROM tenants FINAL WHERE is_active) AS t ON t.tenant_id = v.tenant_id
GROUP BY v.tenant_id, v.entity_id

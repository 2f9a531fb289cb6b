-- A row is one version written after a revision of a tenant's catalogue, with the version before it, in the order of
-- the revisions.
SELECT
    n.kind AS kind,
    n.entity_id AS entity_id,
    n.version AS version,
    n.revision AS revision,
    n.name AS name,
    n.body AS body,
    n.is_deleted AS is_deleted,
    n.changed_by AS changed_by,
    n.request_id AS request_id,
    toUnixTimestamp64Milli(n.stored_at) AS stored_at_ms,
    o.body AS body_before,
    o.is_deleted AS was_deleted
FROM catalogue_changes AS n
LEFT JOIN
(
    SELECT kind, entity_id, version + 1 AS next_version, body, is_deleted
    FROM catalogue_changes
    WHERE tenant_id = {tenant_id:String}
) AS o ON o.kind = n.kind AND o.entity_id = n.entity_id AND o.next_version = n.version
WHERE n.tenant_id = {tenant_id:String} AND n.revision > {revision:UInt64}
ORDER BY n.revision, n.kind, n.entity_id

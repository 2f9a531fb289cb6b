-- A row is one entity of a tenant as of a revision of the catalogue, deleted ones included.
SELECT
    kind,
    entity_id,
    max(version) AS newest_version,
    argMax(body, version) AS body,
    argMax(is_deleted, version) AS is_deleted,
    argMax(changed_by, version) AS changed_by,
    toUnixTimestamp64Milli(min(stored_at)) AS created_at_ms,
    toUnixTimestamp64Milli(max(stored_at)) AS updated_at_ms
FROM catalogue_changes
WHERE tenant_id = {tenant_id:String} AND revision <= {revision:UInt64}
GROUP BY kind, entity_id
ORDER BY kind, entity_id

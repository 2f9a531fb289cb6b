-- A row is one version of one entity of a tenant, the newest first.
SELECT
    version,
    revision,
    body,
    is_deleted,
    changed_by,
    toUnixTimestamp64Milli(stored_at) AS stored_at_ms
FROM catalogue_changes
WHERE tenant_id = {tenant_id:String} AND kind = {kind:String} AND entity_id = {entity_id:String}
ORDER BY version DESC

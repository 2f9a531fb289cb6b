-- The row is the change that was stored first, and so counts, among those of one revision of a tenant's catalogue.
SELECT argMin(change_id, _block_number) AS change_id
FROM catalogue_entity_versions
WHERE tenant_id = {tenant_id:String} AND revision = {revision:UInt64}

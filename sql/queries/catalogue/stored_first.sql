-- The row is the attempt at a revision of a tenant's catalogue that counts: the one stored first.
SELECT argMin(change_id, _block_number) AS change_id
FROM catalog_entities
WHERE tenant_id = {tenant_id:String} AND revision = {revision:UInt64}

-- A row is an active segment of a tenant.
SELECT entity_id AS segment_id, name
FROM catalog_current
WHERE tenant_id = {tenant_id:String} AND kind = 'segment' AND status = 'active' AND NOT is_deleted

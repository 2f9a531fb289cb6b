-- A row is an active segment of a tenant.
SELECT entity_id AS segment_id, name
FROM catalogue_entities
WHERE tenant_id = {tenant_id:String} AND kind = 'segment' AND status = 'active' AND NOT is_deleted

-- The row is one version of a journey, for those who are in it since then.
SELECT body
FROM catalog_versions
WHERE tenant_id = {tenant_id:String} AND kind = 'journey' AND entity_id = {journey_id:String} AND version = {version:UInt32}

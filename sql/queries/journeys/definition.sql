-- The row is one version of a journey, for enrolments that began with it.
SELECT body
FROM catalogue_changes
WHERE tenant_id = {tenant_id:String} AND kind = 'journey' AND entity_id = {journey_id:String} AND version = {version:UInt32}

-- The one row is the newest revision of a tenant's catalogue, now and as of some time; 0 if there is none.
SELECT
    max(revision) AS newest,
    maxIf(revision, stored_at <= {at:DateTime64(3, 'UTC')}) AS newest_then
FROM catalogue_entity_versions
WHERE tenant_id = {tenant_id:String}

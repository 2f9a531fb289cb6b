-- A row is a customer of a tenant and the attempt that was stored first, and so counts, at one version.
-- Frame: attempted_versions (customer_id, version).
SELECT
    customer_id,
    argMin(change_id, _block_number) AS change_id
FROM customer_versions
WHERE tenant_id = {tenant_id:String}
    AND (customer_id, version) IN (SELECT customer_id, version FROM attempted_versions)
GROUP BY customer_id

-- A row is one version of one customer, the newest first.
SELECT
    version,
    counted.1 AS attributes,
    counted.2 AS is_deleted,
    counted.3 AS changed_by,
    toUnixTimestamp64Milli(counted.4) AS updated_at_ms
FROM
(
    SELECT
        v.version AS version,
        argMin((v.attributes, v.is_deleted, v.changed_by, v.stored_at), v._block_number) AS counted
    FROM customer_versions AS v
    WHERE v.tenant_id = {tenant_id:String} AND v.customer_id = {customer_id:String}
    GROUP BY v.version
)
WHERE version < {before_version:UInt32}
ORDER BY version DESC
LIMIT {limit:UInt32}

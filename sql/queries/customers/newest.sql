-- A row is the newest version of one customer, which may be a deletion.
-- Frame: queried_customers (tenant_id, customer_id).
SELECT
    toString(tenant_id) AS tenant_id,
    customer_id,
    newest.1 AS version,
    newest.2 AS attributes,
    newest.3 AS is_deleted,
    newest.4 AS changed_by,
    toUnixTimestamp64Milli(first_at) AS created_at_ms,
    toUnixTimestamp64Milli(newest.5) AS updated_at_ms
FROM
(
    SELECT
        v.tenant_id AS tenant_id,
        v.customer_id AS customer_id,
        min(v.stored_at) AS first_at,
        argMax(
            (v.version, v.attributes, v.is_deleted, v.changed_by, v.stored_at),
            (v.version, -toInt64(v._block_number))
        ) AS newest
    FROM customer_versions AS v
    WHERE (v.tenant_id, v.customer_id) IN (SELECT tenant_id, customer_id FROM queried_customers)
    GROUP BY v.tenant_id, v.customer_id
)

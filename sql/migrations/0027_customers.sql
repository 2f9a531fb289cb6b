-- One row is one customer as the tenant's data has them now; those whose data has ended are not here.
CREATE VIEW customers
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer, as in events',
    version UInt32 COMMENT 'The newest',
    attributes String COMMENT 'A JSON object: value by name; JSONExtract reads it',
    changed_by String COMMENT 'Who made the version',
    created_at DateTime64(6, 'UTC') COMMENT 'When the first version was made',
    updated_at DateTime64(6, 'UTC') COMMENT 'When this version was made'
)
AS SELECT
    tenant_id,
    customer_id,
    newest.1 AS version,
    newest.2 AS attributes,
    newest.4 AS changed_by,
    created_at,
    newest.5 AS updated_at
FROM
(
    SELECT
        v.tenant_id AS tenant_id,
        v.customer_id AS customer_id,
        min(v.stored_at) AS created_at,
        argMax(
            (v.version, v.attributes, v.is_deleted, v.changed_by, v.stored_at),
            (v.version, -toInt64(v._block_number))
        ) AS newest
    FROM customer_versions AS v
    GROUP BY v.tenant_id, v.customer_id
)
WHERE NOT newest.3
COMMENT 'Every customer with the attributes that count now'

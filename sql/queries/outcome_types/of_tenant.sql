-- A row is the newest version of one outcome type of a tenant, which may be a deletion.
SELECT
    key,
    newest.1 AS version,
    newest.2 AS name,
    newest.3 AS description,
    newest.4 AS classification,
    newest.5 AS category,
    newest.6 AS is_conversion,
    newest.7 AS is_system,
    newest.8 AS ordinal,
    newest.9 AS is_active,
    toUnixTimestamp64Milli(newest.10) AS effective_at_ms,
    toUnixTimestamp64Milli(first_at) AS created_at_ms,
    toUnixTimestamp64Milli(newest.11) AS updated_at_ms,
    newest.12 AS allows_negative_value
FROM
(
    SELECT
        o.key AS key,
        min(o.created_at) AS first_at,
        argMax(
            (
                o.version, o.name, o.description, toString(o.classification), toString(o.category), o.is_conversion,
                o.is_system, o.ordinal, o.is_active, o.effective_at, o.created_at, o.allows_negative_value
            ),
            (o.version, o.created_at)
        ) AS newest
    FROM outcome_types AS o
    WHERE o.tenant_id = {tenant_id:String}
    GROUP BY o.key
)
ORDER BY ordinal, key

-- A row is one column that names customers, of any table: customer_id or …_customer_id, or customer_ids for several;
-- and the column with the time of a row. New tables are found without being listed anywhere.
SELECT
    c.table AS table,
    c.name AS column,
    startsWith(c.type, 'Array') AS is_array,
    arrayFirst(
        x -> has(names, x),
        ['received_at', 'enrolled_at', 'stored_at', 'changed_at', 'updated_at', 'refreshed_at', 'computed_at', 'created_at']
    ) AS since,
    has(names, 'tenant_id') AS has_tenant
FROM system.columns AS c
INNER JOIN
(
    SELECT table, groupArray(name) AS names FROM system.columns WHERE database = currentDatabase() GROUP BY table
) AS n ON n.table = c.table
INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table
WHERE c.database = currentDatabase()
    AND t.engine LIKE '%MergeTree'
    AND (c.name = 'customer_id' OR endsWith(c.name, '_customer_id') OR c.name = 'customer_ids')
ORDER BY table, column

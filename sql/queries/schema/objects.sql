-- A row is one table or view of the database and the statement that creates it, in the order of creation.
SELECT
    t.name AS name,
    replaceAll(t.create_table_query, concat(currentDatabase(), '.'), '') AS statement
FROM system.tables AS t
WHERE t.database = currentDatabase() AND t.name != 'schema_migrations'
ORDER BY t.engine LIKE '%View', t.engine = 'View', t.name

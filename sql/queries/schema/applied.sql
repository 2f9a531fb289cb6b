-- A row is one applied migration.
SELECT version, name, checksum FROM schema_migrations FINAL ORDER BY version

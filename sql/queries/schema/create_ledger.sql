-- Creates the table of which a row is one applied migration.
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version UInt32 COMMENT 'Number of the file',
    name String COMMENT 'Name of the file',
    checksum String COMMENT 'SHA-256 of the file; a file never changes once applied',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied'
)
ENGINE = ReplacingMergeTree
ORDER BY version
COMMENT 'Applied migrations'

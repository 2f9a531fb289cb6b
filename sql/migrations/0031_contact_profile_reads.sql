-- One row is one API process's knowledge of when a contact profile was last read; the latest counts. Apart from the
-- versions, because reading changes nothing.
-- Looked up together with profiles: hence the order. A profile that nobody has read for years has expired long ago.
CREATE TABLE contact_profile_reads
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    profile_id String COMMENT 'The profile',
    last_read_at DateTime64(3, 'UTC') COMMENT 'When somebody was shown the profile, to some ten seconds'
)
ENGINE = ReplacingMergeTree(last_read_at)
ORDER BY (tenant_id, profile_id)
COMMENT 'When contact profiles were last read: what nobody reads or changes expires'

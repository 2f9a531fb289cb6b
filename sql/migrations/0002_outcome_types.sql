-- One row is one version of one outcome type of one tenant. Versions are kept: an event is counted by the version that
-- was effective when the broker received it, so that a replay counts it the same way.
CREATE TABLE outcome_types
(
    tenant_id String COMMENT 'Tenant',
    key String COMMENT 'What producers send as outcome',
    version UInt32 DEFAULT 1 COMMENT 'Ascends with every change',
    name String COMMENT 'For people',
    description String COMMENT 'When to record it',
    classification LowCardinality(String) COMMENT 'positive, negative or neutral',
    category LowCardinality(String) COMMENT 'impression, response or recommendation (the latter is no contact)',
    is_conversion Bool DEFAULT false COMMENT 'Counts in converts',
    allows_negative_value Bool DEFAULT false
        COMMENT 'Whether its events may carry a negative conversion_value: refunds and the like',
    is_system Bool DEFAULT false COMMENT 'Seeded; cannot be changed',
    ordinal UInt32 DEFAULT 0 COMMENT 'Order in lists',
    is_active Bool DEFAULT true COMMENT 'False: deleted from effective_at on',
    effective_at DateTime64(3, 'UTC') COMMENT 'Broker time from which on this version applies',
    created_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was written'
)
ENGINE = ReplacingMergeTree(created_at)
ORDER BY (tenant_id, key, version)
COMMENT 'What an outcome means for the counts'

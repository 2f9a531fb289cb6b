-- One row is one row of recent_claims: what was inserted into event_claims at once, by source.
CREATE MATERIALIZED VIEW recent_claim_feed
TO recent_claims
(
    source LowCardinality(String) COMMENT 'Cluster, topic and partition of the log',
    first_offset UInt64 COMMENT 'Lowest offset of the claiming messages',
    last_offset UInt64 COMMENT 'Highest',
    key_hashes Array(UInt64) COMMENT 'Claimed idempotency keys, as in event_claims',
    stored_at DateTime64(3, 'UTC') COMMENT 'When the claims were written'
)
AS SELECT
    source,
    min(offset) AS first_offset,
    max(offset) AS last_offset,
    groupArray(key_hash) AS key_hashes,
    max(c.stored_at) AS stored_at
FROM event_claims AS c
GROUP BY source
COMMENT 'Fills recent_claims'

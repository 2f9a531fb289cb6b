-- One row is how far one log has been looked through for customers who enter journeys, by one look at it.
-- Written every few seconds per log, and only the newest row of each is read: hence the order and the version.
CREATE TABLE journey_progress
(
    source LowCardinality(String) COMMENT 'Cluster, topic and partition',
    next_offset UInt64 COMMENT 'Everything before this offset has been looked at',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was written'
)
ENGINE = ReplacingMergeTree(next_offset)
ORDER BY source
SETTINGS non_replicated_deduplication_window = 0
COMMENT 'How far logs have been looked through for customers who enter journeys'

-- One row is one message, or one item of an array message, that could not be used, or the latest note about it.
-- The identity is its place in the log, so a replay writes the same row. By tenant first, because people look for theirs;
-- an unreadable message has no tenant.
CREATE TABLE dead_letter_state
(
    tenant_id LowCardinality(String) COMMENT 'Empty where the message did not get far enough to name one',
    id String COMMENT 'Source, offset and item',
    code LowCardinality(String) COMMENT 'Stable reason code',
    detail String COMMENT 'What was wrong and what would have been right',
    cluster_id String COMMENT 'Kafka cluster id',
    topic String COMMENT 'Topic',
    partition UInt32 COMMENT 'Partition',
    offset UInt64 COMMENT 'Offset',
    item UInt32 COMMENT 'Index in an array message',
    key String COMMENT 'Raw bytes of the message key',
    value String CODEC(ZSTD(3)) COMMENT 'Raw bytes: the message''s value, or the item of an array message',
    received_at DateTime64(3, 'UTC') COMMENT 'Broker time',
    revision UInt8 DEFAULT 0 COMMENT '1 once it was replayed; the version of the row',
    replayed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was sent again, if it was',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was written'
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (tenant_id, id)
TTL toDateTime(stored_at) + INTERVAL 90 DAY DELETE -- long enough to mend a producer and replay
COMMENT 'Messages that could not be used, with the reason and the raw bytes; read dead_letters'

-- One row is one message, or one item of an array message, that could not be used.
CREATE VIEW dead_letters
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
    value String COMMENT 'Raw bytes: the message''s value, or the item of an array message',
    received_at DateTime64(3, 'UTC') COMMENT 'Broker time',
    replayed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was sent again, if it was',
    stored_at DateTime64(3, 'UTC') COMMENT 'When it was stored, or marked as sent again'
)
AS SELECT
    tenant_id,
    id,
    code,
    detail,
    cluster_id,
    topic,
    partition,
    offset,
    item,
    key,
    value,
    received_at,
    replayed_at,
    stored_at
FROM dead_letter_state FINAL
COMMENT 'Messages that could not be used, with the reason and the raw bytes'

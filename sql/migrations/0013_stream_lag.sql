-- One row is one source: how far it has been applied and when.
CREATE VIEW stream_lag
(
    source String COMMENT 'Cluster, topic and partition',
    topic String COMMENT 'Topic',
    partition UInt32 COMMENT 'Partition',
    next_offset UInt64 COMMENT 'Everything before this offset is in the tables',
    last_occurred_at DateTime64(3, 'UTC') COMMENT 'Event time of the latest event of the last batch',
    last_received_at DateTime64(3, 'UTC') COMMENT 'Broker time of the last message applied',
    batch_messages UInt32 COMMENT 'Messages in the last batch',
    batch_events UInt32 COMMENT 'Events accepted of them',
    worker String COMMENT 'Who wrote it',
    stored_at DateTime64(3, 'UTC') COMMENT 'When the batch was complete',
    seconds_since_batch Float64 COMMENT 'Age of the last batch'
)
AS SELECT
    source,
    topic,
    partition,
    next_offset,
    last_occurred_at,
    last_received_at,
    batch_messages,
    batch_events,
    worker,
    p.stored_at AS stored_at,
    dateDiff('millisecond', p.stored_at, now64(3)) / 1000 AS seconds_since_batch
FROM stream_progress AS p FINAL
COMMENT 'How far the stream has been applied, per partition'

-- One row is how far one source's log has been applied, and when. Written last of a batch: everything before
-- next_offset is in the tables. The version is the offset itself, so an overtaken worker cannot set it back.
CREATE TABLE stream_progress
(
    source String COMMENT 'Cluster, topic and partition',
    cluster_id String COMMENT 'Kafka cluster id',
    topic String COMMENT 'Topic',
    partition UInt32 COMMENT 'Partition',
    next_offset UInt64 COMMENT 'Where the next batch starts; the version of the row',
    last_occurred_at DateTime64(3, 'UTC') COMMENT 'Event time of the latest event of the last batch',
    last_received_at DateTime64(3, 'UTC') COMMENT 'Broker time of the last message applied',
    batch_messages UInt32 COMMENT 'Messages of this source in the last batch',
    batch_events UInt32 COMMENT 'Events accepted of them',
    worker String COMMENT 'Who wrote it: host and process id',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the batch was complete'
)
ENGINE = ReplacingMergeTree(next_offset)
ORDER BY source
COMMENT 'How far the stream has been applied; read it through stream_lag'

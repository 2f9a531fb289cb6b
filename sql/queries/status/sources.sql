-- A row is one source and its last batch.
SELECT
    p.source AS source,
    p.cluster_id AS cluster_id,
    p.topic AS topic,
    p.partition AS partition,
    p.next_offset AS next_offset,
    p.last_occurred_at AS last_occurred_at,
    p.batch_messages AS batch_messages,
    p.batch_events AS batch_events,
    p.worker AS worker,
    dateDiff('millisecond', p.stored_at, now64(3)) / 1000 AS seconds_since_batch
FROM stream_progress AS p FINAL
ORDER BY p.topic, p.partition, p.stored_at DESC

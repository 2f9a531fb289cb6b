-- Records that dead letters were sent again.
INSERT INTO dead_letter_state
(
    tenant_id, id, code, detail, cluster_id, topic, partition, offset, item, key, value, received_at, revision,
    replayed_at
)
SELECT
    tenant_id, id, code, detail, cluster_id, topic, partition, offset, item, key, value, received_at, 1, now64(3)
FROM dead_letters
WHERE id IN {ids:Array(String)}

-- A row is one of the dead letters with some ids, with its bytes.
SELECT
    id,
    tenant_id,
    code,
    detail,
    cluster_id,
    topic,
    partition,
    offset,
    item,
    base64Encode(key) AS key_base64,
    base64Encode(value) AS value_base64,
    received_at,
    replayed_at
FROM dead_letters
WHERE id IN {ids:Array(String)}
ORDER BY id

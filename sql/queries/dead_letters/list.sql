-- A row is one dead letter, newest first; codes and tenants filter where they are given.
SELECT id, tenant_id, code, detail, topic, partition, offset, item, received_at, replayed_at, length(value) AS bytes
FROM dead_letters
WHERE (empty({codes:Array(String)}) OR code IN {codes:Array(String)})
    AND (empty({tenants:Array(String)}) OR tenant_id IN {tenants:Array(String)})
    AND ({replayed:Bool} OR replayed_at IS NULL)
ORDER BY received_at DESC, id
LIMIT {limit:UInt32}

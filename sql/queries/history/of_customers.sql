-- A row is one event of the given customers, from an id on. Events that a crash wrote twice are returned twice: the
-- caller deduplicates by id, which is cheaper than FINAL. The caller pairs tenants with customers and applies all other
-- filters: the engine reads whole granules anyway, and takes longer for another condition than the caller does for the
-- rows. A customer with more rows than the limit has a long history: the caller drops the rows and has the engine
-- aggregate.
SELECT
    toString(e.tenant_id) AS tenant_id,
    e.customer_id AS customer_id,
    e.id AS id,
    toUnixTimestamp64Milli(e.received_at) AS received_ms,
    e.packed AS packed
FROM interaction_log AS e
WHERE e.tenant_id IN {tenants:Array(String)}
    AND e.customer_id IN {customers:Array(String)}
    AND e.id >= {from_id:String}
LIMIT {most:UInt32} BY tenant_id, customer_id
SETTINGS max_threads = 1

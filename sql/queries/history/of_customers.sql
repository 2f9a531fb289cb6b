-- A row is one event of customers who are asked about, from an id on. What a crash wrote twice is returned twice: the caller
-- knows rows by their ids, which is cheaper than FINAL. The caller pairs tenants with customers and does all other choosing: the
-- engine reads whole granules anyway, and takes longer for a condition more than the caller does for the rows. Who has more
-- rows than the limit has a long history: the caller drops it and has the engine count.
SELECT
    toString(e.tenant_id) AS tenant_id,
    e.customer_id AS customer_id,
    e.id AS id,
    toUnixTimestamp64Milli(e.received_at) AS received_ms,
    e.packed AS packed
FROM interactions AS e
WHERE e.tenant_id IN {tenants:Array(String)}
    AND e.customer_id IN {customers:Array(String)}
    AND e.id >= {from_id:String}
LIMIT {most:UInt32} BY tenant_id, customer_id
SETTINGS max_threads = 1

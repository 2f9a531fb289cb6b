-- A row is one interaction of customers who are asked about, with what requests filter by. Reads narrow columns of the
-- customers' whole histories; history/rows then has the rest of a page. The caller pairs tenants with customers and counts
-- ids, because what a crash wrote twice is here twice: that costs a fraction of what the engine takes to plan joins and
-- windows.
SELECT
    toString(i.tenant_id) AS tenant_id,
    i.customer_id AS customer_id,
    i.id AS id,
    i.offer_id AS offer_id,
    i.creative_id AS creative_id,
    i.channel_id AS channel_id,
    toString(i.outcome) AS outcome,
    toString(i.direction) AS direction
FROM interactions AS i
WHERE i.tenant_id IN {tenants:Array(String)}
    AND i.customer_id IN {customers:Array(String)}
    AND i.id >= {from_id:String}
    AND i.id < {before_id:String}
SETTINGS max_threads = 1

-- A row is one event of customers who are asked about, in a range of ids; recommendations only if asked for. What a crash
-- wrote twice is returned twice: the caller knows rows by their ids, which is cheaper than FINAL. The caller pairs tenants
-- with customers. What is packed begins with the category, so that no other column is needed to choose by it.
SELECT
    toString(e.tenant_id) AS tenant_id,
    e.customer_id AS customer_id,
    e.id AS id,
    e.packed AS packed
FROM interactions AS e
WHERE e.tenant_id IN {tenants:Array(String)}
    AND e.customer_id IN {customers:Array(String)}
    AND e.id >= {from_id:String}
    AND e.id < {before_id:String}
    AND ({recommendations:Bool} OR NOT startsWith(e.packed, '["recommendation"'))
SETTINGS max_threads = 1

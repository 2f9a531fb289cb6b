-- A row is a customer who has at least one of some attributes, ordered by id.
SELECT customer_id, attributes
FROM customers
WHERE tenant_id = {tenant_id:String} AND hasAny(JSONExtractKeys(attributes), {names:Array(String)})
ORDER BY customer_id
LIMIT {limit:UInt32} OFFSET {offset:UInt32}

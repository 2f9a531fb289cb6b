-- A row is a customer who has at least one of some attributes, in the order of their ids.
SELECT customer_id, attributes
FROM customers
WHERE tenant_id = {tenant_id:String} AND hasAny(JSONExtractKeys(attributes), {names:Array(String)})
ORDER BY customer_id
LIMIT {limit:UInt32} OFFSET {offset:UInt32}

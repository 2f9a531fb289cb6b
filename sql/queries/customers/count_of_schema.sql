-- The one row is the number of customers who have at least one of some attributes.
SELECT count() AS total
FROM customers
WHERE tenant_id = {tenant_id:String} AND hasAny(JSONExtractKeys(attributes), {names:Array(String)})

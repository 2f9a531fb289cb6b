-- The row says how many customers have at least one of some attributes.
SELECT count() AS total
FROM customers
WHERE tenant_id = {tenant_id:String} AND hasAny(JSONExtractKeys(attributes), {names:Array(String)})

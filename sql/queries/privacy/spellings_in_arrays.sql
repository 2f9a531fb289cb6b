-- A row is a spelling of an address in a column that names several customers.
SELECT DISTINCT arrayJoin(arrayFilter(x -> lowerUTF8(x) IN {addresses:Array(String)}, {column:Identifier})) AS customer_id
FROM {table:Identifier}
WHERE tenant_id = {tenant_id:String}

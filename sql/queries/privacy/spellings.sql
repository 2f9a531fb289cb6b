-- A row is a spelling of an address in a column that names customers.
SELECT DISTINCT toString({column:Identifier}) AS customer_id
FROM {table:Identifier}
WHERE tenant_id = {tenant_id:String} AND lowerUTF8({column:Identifier}) IN {addresses:Array(String)}

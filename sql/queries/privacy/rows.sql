-- A row is a row of any table that names one of some customers.
SELECT *
FROM {table:Identifier}
WHERE tenant_id = {tenant_id:String} AND {column:Identifier} IN {customer_ids:Array(String)}
LIMIT {limit:UInt32}
SETTINGS final = 1

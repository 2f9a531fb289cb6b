-- The one row is the number of rows of a table that name one of some customers, each in its newest version.
SELECT count() AS rows
FROM {table:Identifier}
WHERE tenant_id = {tenant_id:String} AND {column:Identifier} IN {customer_ids:Array(String)}
SETTINGS final = 1

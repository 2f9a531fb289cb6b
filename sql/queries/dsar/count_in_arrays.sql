-- The one row is the number of rows of a table that name one of some customers in an array, each in its newest version.
SELECT count() AS rows
FROM {table:Identifier}
WHERE tenant_id = {tenant_id:String} AND hasAny({column:Identifier}, {customer_ids:Array(String)})
SETTINGS final = 1

-- One row: how many rows of a table names one of some customers among others, each in its newest version.
SELECT count() AS rows
FROM {table:Identifier}
WHERE tenant_id = {tenant_id:String} AND hasAny({column:Identifier}, {customer_ids:Array(String)})
SETTINGS final = 1

-- The one row is the number of rows of a table, up to a time, that name some customers in an array.
SELECT count() AS rows
FROM {table:Identifier}
WHERE tenant_id = {tenant_id:String}
    AND hasAny({column:Identifier}, {customer_ids:Array(String)})
    AND {since:Identifier} <= fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')

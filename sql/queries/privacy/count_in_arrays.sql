-- One row: how many rows of a table name some customers among others, and have been there since a time or longer.
SELECT count() AS rows
FROM {table:Identifier}
WHERE tenant_id = {tenant_id:String}
    AND hasAny({column:Identifier}, {customer_ids:Array(String)})
    AND {since:Identifier} <= fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')

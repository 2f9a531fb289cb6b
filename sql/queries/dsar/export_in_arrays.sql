-- Copies every row of a table that names one of some customers in an array into an export, as JSON: decimals are texts,
-- so that no digit is lost. One thread, so that positions ascend.
INSERT INTO dsar_exports (tenant_id, request_id, attempt, table_name, position, customer_ids, requested_at, body)
SELECT
    {tenant_id:String},
    {request_id:String},
    {attempt:UInt32},
    {table:String},
    {first_position:UInt64} + rowNumberInAllBlocks(),
    {customer_ids:Array(String)},
    fromUnixTimestamp64Milli({requested_at_ms:Int64}, 'UTC'),
    trimRight(formatRow('JSONEachRow', *))
FROM {source:Identifier}
WHERE tenant_id = {tenant_id:String} AND hasAny({column:Identifier}, {customer_ids:Array(String)})
SETTINGS
    final = 1,
    max_threads = 1,
    date_time_output_format = 'iso',
    output_format_json_quote_decimals = 1,
    output_format_json_quote_64bit_integers = 0,
    output_format_json_validate_utf8 = 1

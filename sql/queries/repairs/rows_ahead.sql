-- A row is one customer with a summary row, from before there were blocks, that counts messages from an offset on.
SELECT DISTINCT tenant_id, customer_id
FROM interaction_summary_state
WHERE source = {source:String} AND block = 0 AND applied_offset >= {next_offset:UInt64}

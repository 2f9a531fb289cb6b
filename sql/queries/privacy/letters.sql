-- A row is one dead letter, of a tenant or of none, that contains one of some texts: customer ids as they may be
-- written. The caller checks that the text is a word of its own.
SELECT
    tenant_id,
    id,
    base64Encode(key) AS key_base64,
    base64Encode(value) AS value_base64,
    detail
FROM dead_letter_state
WHERE tenant_id IN ({tenant_id:String}, '')
    AND received_at <= fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')
    AND (
        multiSearchAny(value, {needles:Array(String)})
        OR multiSearchAny(key, {needles:Array(String)})
        OR multiSearchAny(detail, {needles:Array(String)})
    )

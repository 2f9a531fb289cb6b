-- A row is one erasure receipt.
SELECT
    receipt_id,
    customer_hashes,
    toUnixTimestamp64Milli(erased_at) AS erased_at_ms,
    toUnixTimestamp64Milli(completed_at) AS completed_at_ms,
    deleted,
    is_verified,
    requested_by
FROM erasure_receipts FINAL
WHERE tenant_id = {tenant_id:String} AND receipt_id = {receipt_id:String}

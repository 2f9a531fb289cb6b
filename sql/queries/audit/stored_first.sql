-- The row is the append that was stored first, and so counts, among those of one batch of a tenant's audit log.
SELECT argMin(change_id, _block_number) AS change_id
FROM audit_entry_log
WHERE tenant_id = {tenant_id:String} AND batch = {batch:UInt64}

-- The row is the attempt at a batch of a tenant's audit log that counts: the one stored first.
SELECT argMin(change_id, _block_number) AS change_id
FROM audit_log
WHERE tenant_id = {tenant_id:String} AND batch = {batch:UInt64}

-- The one row is the end of a tenant's chain, and the newest audited revision of its catalogue; 0 and empty if the
-- chain is empty.
SELECT
    max(t.seq) AS last_seq,
    max(t.batch) AS last_batch,
    argMax(t.hash, t.seq) AS last_hash,
    max(t.revision) AS audited_revision
FROM audit_entries AS t
WHERE t.tenant_id = {tenant_id:String}

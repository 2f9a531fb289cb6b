-- Deletes the enrolments of an erased customer that began before the erasure. By hash, because the text of a deletion
-- is stored.
ALTER TABLE journey_enrolment_versions
DELETE WHERE tenant_id = {tenant_id:String}
    AND lower(hex(SHA256(concat(tenant_id, '\0', customer_id)))) = {customer_hash:String}
    AND enrolled_at <= fromUnixTimestamp64Milli({erased_at_ms:Int64}, 'UTC')
SETTINGS mutations_sync = 2

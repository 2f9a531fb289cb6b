-- A row is the key with a hash, revoked or not; there is none if there is no such key.
SELECT
    key_id,
    tenant_id,
    name,
    toString(key_hash) AS hash,
    prefix,
    role,
    scopes,
    toUnixTimestamp64Milli(expires_at) AS expires_at_ms,
    toUnixTimestamp64Milli(created_at) AS created_at_ms,
    toUnixTimestamp64Milli(revoked_at) AS revoked_at_ms,
    CAST(NULL AS Nullable(Int64)) AS last_used_at_ms
FROM api_keys FINAL
WHERE key_hash = {key_hash:String}

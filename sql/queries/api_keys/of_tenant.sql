-- A row is one key of a tenant, revoked or not, the newest first.
SELECT
    k.key_id AS key_id,
    tenant_id,
    name,
    toString(key_hash) AS hash,
    prefix,
    role,
    scopes,
    toUnixTimestamp64Milli(expires_at) AS expires_at_ms,
    toUnixTimestamp64Milli(created_at) AS created_at_ms,
    toUnixTimestamp64Milli(revoked_at) AS revoked_at_ms,
    nullIf(toUnixTimestamp64Milli(u.last_used_at), 0) AS last_used_at_ms
FROM api_keys AS k FINAL
LEFT JOIN
(
    SELECT key_id, max(last_used_at) AS last_used_at
    FROM api_key_uses
    GROUP BY key_id
) AS u ON u.key_id = k.key_id
WHERE tenant_id = {tenant_id:String}
ORDER BY created_at DESC, key_id

-- One row is one version of one API key; the newest counts. The key itself is nowhere: key_hash is its HMAC-SHA256 under
-- a pepper that only the API's environment knows.
-- Looked up by hash, which names no tenant, hence the order; keys are few.
CREATE TABLE api_keys
(
    key_hash FixedString(64) COMMENT 'HMAC-SHA256 of the key, hexadecimal',
    key_id String COMMENT 'Names the key in lists and when it is revoked',
    tenant_id String COMMENT 'Whose key it is',
    name String COMMENT 'For people',
    prefix String COMMENT 'How the key begins',
    role LowCardinality(String) COMMENT 'viewer, editor or admin',
    scopes Array(String) COMMENT 'Where it may be used; empty for everywhere',
    expires_at Nullable(DateTime64(3, 'UTC')) COMMENT 'From then on it is refused',
    created_at DateTime64(3, 'UTC') COMMENT 'When it was made',
    revoked_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when it is refused',
    revoked_reason String COMMENT 'Why, if somebody said so',
    updated_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'Version of the row'
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY key_hash
COMMENT 'Who may use the API'

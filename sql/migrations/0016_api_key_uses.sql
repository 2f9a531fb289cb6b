-- One row is one process's knowledge of when a key was last used; the latest counts. Apart from api_keys, because a use
-- must not make a version of the key: it could bring a revoked one back.
CREATE TABLE api_key_uses
(
    key_id String COMMENT 'The key',
    last_used_at DateTime64(3, 'UTC') COMMENT 'When a request came with it, to some ten seconds'
)
ENGINE = ReplacingMergeTree(last_used_at)
ORDER BY key_id
COMMENT 'When API keys were last used'

-- One row is one contact profile as it is now; those that have ended are not here.
CREATE VIEW contact_profiles
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    profile_id String COMMENT '24 characters; ascends with the time of creation',
    version UInt32 COMMENT 'The newest',
    profile String COMMENT 'A JSON object: the fields of the person; JSONExtract reads it',
    contact_ids Array(String) COMMENT 'How the person is known: customers of the events',
    email String COMMENT 'Of the profile; empty if there is none',
    is_active Bool COMMENT 'Whether lists show the profile and the person may be addressed',
    prevents_collection Bool COMMENT 'prevent_data_collection is true',
    refuses_gdpr Bool COMMENT 'accepted_gdpr is false',
    created_at DateTime64(3, 'UTC') COMMENT 'When it was made',
    changed_at DateTime64(3, 'UTC') COMMENT 'When it was last changed'
)
AS SELECT
    tenant_id,
    profile_id,
    version,
    profile,
    contact_ids,
    email,
    is_active,
    prevents_collection,
    refuses_gdpr,
    created_at,
    changed_at
FROM
(
    SELECT *
    FROM contact_profile_versions
    ORDER BY tenant_id, profile_id, version DESC, _block_number
    LIMIT 1 BY tenant_id, profile_id
)
WHERE ended = ''
COMMENT 'Every contact profile that has not ended'

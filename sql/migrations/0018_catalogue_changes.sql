-- One row is one version of one configuration entity.
CREATE VIEW catalogue_changes
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    kind LowCardinality(String) COMMENT 'offer, creative, channel …',
    entity_id String COMMENT 'Names the entity',
    version UInt32 COMMENT 'Of the entity: 1 for the first; ascends by one',
    revision UInt64 COMMENT 'Of the whole catalogue: the change that made the version',
    key String COMMENT 'Chosen by people',
    name String COMMENT 'For people',
    status LowCardinality(String) COMMENT 'active, draft, paused, archived',
    body String COMMENT 'The entity as JSON',
    is_deleted Bool COMMENT 'Whether this version ended it',
    changed_by String COMMENT 'Who made it',
    request_id String COMMENT 'Trace of the request that made it, if one did',
    stored_at DateTime64(6, 'UTC') COMMENT 'When it was made'
)
AS SELECT
    tenant_id,
    kind,
    entity_id,
    version,
    revision,
    key,
    name,
    status,
    body,
    is_deleted,
    changed_by,
    request_id,
    stored_at
FROM
(
    SELECT
        *,
        _block_number = min(_block_number) OVER (PARTITION BY tenant_id, revision) AS counts
    FROM catalogue_entity_versions
)
WHERE counts
COMMENT 'Every version of every configuration entity'

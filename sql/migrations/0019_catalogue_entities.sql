-- One row is one configuration entity as it is now.
CREATE VIEW catalogue_entities
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    kind LowCardinality(String) COMMENT 'offer, creative, channel …',
    entity_id String COMMENT 'Names the entity',
    version UInt32 COMMENT 'The newest',
    key String COMMENT 'Chosen by people',
    name String COMMENT 'For people',
    status LowCardinality(String) COMMENT 'active, draft, paused, archived',
    body String COMMENT 'The entity as JSON',
    is_deleted Bool COMMENT 'Whether it has ended',
    changed_by String COMMENT 'Who made the version',
    created_at DateTime64(6, 'UTC') COMMENT 'When the first version was made',
    updated_at DateTime64(6, 'UTC') COMMENT 'When this version was made'
)
AS SELECT
    tenant_id,
    kind,
    entity_id,
    newest.1 AS version,
    newest.2 AS key,
    newest.3 AS name,
    newest.4 AS status,
    newest.5 AS body,
    newest.6 AS is_deleted,
    newest.7 AS changed_by,
    created_at,
    newest.8 AS updated_at
FROM
(
    SELECT
        v.tenant_id AS tenant_id,
        v.kind AS kind,
        v.entity_id AS entity_id,
        min(v.stored_at) AS created_at,
        argMax((v.version, v.key, v.name, v.status, v.body, v.is_deleted, v.changed_by, v.stored_at), v.version) AS newest
    FROM catalogue_changes AS v
    GROUP BY v.tenant_id, v.kind, v.entity_id
)
COMMENT 'Every configuration entity as it is now'

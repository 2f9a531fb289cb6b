-- One row is one version of one configuration entity: an offer, a creative, a channel, a decision flow, a policy …
-- Append-only: nothing is ever changed or removed, so any decision can be explained by the versions it saw.
-- A change writes all its versions in one insert, under the revision that follows the newest one there is. Of several
-- attempts at one revision the insert stored first counts, and with it all of the change or nothing: hence the engine,
-- which never collapses, and the block number, which ascends in the order in which inserts became visible. On a cluster
-- that order needs quorum inserts one at a time (insert_quorum_parallel = 0).
-- The API reads a tenant's whole catalogue at once, and a single entity's versions for its history: hence the order.
-- Read catalogue_changes and catalogue_entities instead: they leave out the attempts that do not count.
CREATE TABLE catalogue_entity_versions
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    kind LowCardinality(String) COMMENT 'offer, creative, channel, placement, category, decision_flow, contact_policy …',
    entity_id String COMMENT 'Names the entity; what events carry as offerId, creativeId, channelId',
    version UInt32 COMMENT 'Of the entity: 1 for the first; ascends by one',
    revision UInt64 COMMENT 'Of the whole catalogue of the tenant: 1 for the first change; ascends by one',
    change_id String COMMENT 'Identifies the attempt at a change',
    key String COMMENT 'Chosen by people, unique per kind; empty where the kind has none',
    name String COMMENT 'For people',
    status LowCardinality(String) COMMENT 'active, draft, paused, archived',
    body String CODEC(ZSTD(3)) COMMENT 'The entity as JSON',
    is_deleted Bool DEFAULT false COMMENT 'Whether this version ends it',
    changed_by String COMMENT 'The key or the command that made the version',
    request_id String COMMENT 'Trace of the request that made it, if one did',
    stored_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When the version was made'
)
ENGINE = MergeTree
ORDER BY (tenant_id, kind, entity_id, version)
SETTINGS index_granularity = 512, non_replicated_deduplication_window = 0, enable_block_number_column = 1
COMMENT 'Every attempt at a version of a configuration entity; read catalogue_changes or catalogue_entities'

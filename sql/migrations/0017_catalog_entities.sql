-- One row is one version of one configuration entity: an offer, a creative, a channel, a decision flow, a policy …
-- Append-only: nothing is ever changed or removed, so any decision can be explained by the versions it saw.
-- The API reads a tenant's whole catalogue at once, and a single entity's versions for its history: hence the order.
CREATE TABLE catalog_entities
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    kind LowCardinality(String) COMMENT 'offer, creative, channel, placement, category, flow, policy, rule …',
    entity_id String COMMENT 'Names the entity; what events carry as offerId, creativeId, channelId',
    version UInt32 COMMENT '1 for the first; ascends by one',
    change_id String COMMENT 'Tells two attempts at the same version apart: the one stored first counts',
    key String COMMENT 'Chosen by people, unique per kind; empty where the kind has none',
    name String COMMENT 'For people',
    status LowCardinality(String) COMMENT 'active, draft, paused, archived …',
    body String CODEC(ZSTD(3)) COMMENT 'The entity as JSON',
    is_deleted Bool DEFAULT false COMMENT 'Whether this version ends it',
    changed_by String COMMENT 'The key or the command that made the version',
    stored_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When the version was made'
)
ENGINE = MergeTree
ORDER BY (tenant_id, kind, entity_id, version, stored_at)
SETTINGS index_granularity = 512, non_replicated_deduplication_window = 0
COMMENT 'Every version of every configuration entity; read the newest through catalog_current'

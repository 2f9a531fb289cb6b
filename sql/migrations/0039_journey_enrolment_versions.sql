-- One row is one attempt at one version of the state of one enrolment: a customer in a journey.
-- Version n + 1 was decided on version n, and of several attempts at it the one that was stored first counts: so two
-- workers that move a customer on at the same time never both do. Hence the engine, which never collapses, and the block
-- number (see catalogue_entity_versions).
-- Enrolments are read of one customer, or by when there is something to do: hence the order, and the few columns that the
-- second way reads.
CREATE TABLE journey_enrolment_versions
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer, as in events',
    journey_id LowCardinality(String) COMMENT 'Journey, an entity of the catalogue',
    enrolment_id String COMMENT 'Made of tenant, journey, customer and the event by which the customer entered',
    version UInt32 COMMENT 'Of the state: 1 for the entry; ascends by one',
    change_id String COMMENT 'Identifies the attempt',
    journey_version UInt32 COMMENT 'Of the journey, which the customer stays with',
    status LowCardinality(String) COMMENT 'active, completed, exited, expired or failed',
    step String COMMENT 'Where the customer is; of an enrolment that ended, where that was',
    due_at DateTime64(3, 'UTC') COMMENT 'When there is something to do',
    enrolled_at DateTime64(3, 'UTC') COMMENT 'When the customer entered',
    ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the enrolment ended',
    state String CODEC(ZSTD(3)) COMMENT 'All of the state as JSON',
    stored_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When the version was made'
)
ENGINE = MergeTree
ORDER BY (tenant_id, customer_id, journey_id, enrolment_id, version)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 0, enable_block_number_column = 1
COMMENT 'Every attempt at a state of an enrolment; read journey_enrolments'

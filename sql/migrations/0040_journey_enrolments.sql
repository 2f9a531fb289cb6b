-- One row is one customer in one journey, as it stands now.
CREATE VIEW journey_enrolments
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer, as in events',
    journey_id LowCardinality(String) COMMENT 'Journey, an entity of the catalogue',
    enrolment_id String COMMENT 'Made of tenant, journey, customer and the event by which the customer entered',
    version UInt32 COMMENT 'Of the state: the newest',
    journey_version UInt32 COMMENT 'Of the journey, which the customer stays with',
    status LowCardinality(String) COMMENT 'active, completed, exited, expired or failed',
    step String COMMENT 'Where the customer is; of an enrolment that ended, where that was',
    due_at DateTime64(3, 'UTC') COMMENT 'When there is something to do',
    enrolled_at DateTime64(3, 'UTC') COMMENT 'When the customer entered',
    ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the enrolment ended',
    state String COMMENT 'All of the state as JSON'
)
AS SELECT
    tenant_id,
    customer_id,
    journey_id,
    enrolment_id,
    newest.1 AS version,
    newest.2 AS journey_version,
    newest.3 AS status,
    newest.4 AS step,
    newest.5 AS due_at,
    newest.6 AS enrolled_at,
    newest.7 AS ended_at,
    newest.8 AS state
FROM
(
    SELECT
        v.tenant_id AS tenant_id,
        v.customer_id AS customer_id,
        v.journey_id AS journey_id,
        v.enrolment_id AS enrolment_id,
        argMax(
            (v.version, v.journey_version, v.status, v.step, v.due_at, v.enrolled_at, v.ended_at, v.state),
            (v.version, -toInt64(v._block_number))
        ) AS newest
    FROM journey_enrolment_versions AS v
    GROUP BY v.tenant_id, v.customer_id, v.journey_id, v.enrolment_id
)
COMMENT 'Every customer in every journey, as it stands now'

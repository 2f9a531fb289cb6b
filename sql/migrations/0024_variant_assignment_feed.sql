-- One row is one row of variant_assignment_log, taken out of a recommendation when it is written: results then read a few
-- bytes of each instead of its whole trace.
CREATE MATERIALIZED VIEW variant_assignment_feed
TO variant_assignment_log
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    experiment_id String COMMENT 'The experiment',
    customer_id String COMMENT 'The customer',
    recommendation_id String COMMENT 'The recommendation',
    variant String COMMENT 'The arm',
    decided_at DateTime64(3, 'UTC') COMMENT 'When the recommendation was made'
)
AS SELECT
    tenant_id,
    arm.1 AS experiment_id,
    customer_id,
    recommendation_id,
    arm.2 AS variant,
    decided_at
FROM decisions
ARRAY JOIN JSONExtract(
    decision, 'decision', 'experiments', 'Array(Tuple(experimentId String, variant String))'
) AS arm
WHERE arm.1 != '' AND arm.2 != ''
COMMENT 'Fills variant_assignment_log'

-- One row is one recommendation made in one arm of one experiment. Filled by variant_assignment_feed, rewritten
-- after a crash with the same values.
-- By experiment first, because results are asked for per experiment; then by customer, whose first arm is what counts.
CREATE TABLE variant_assignment_log
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    experiment_id String COMMENT 'The experiment',
    customer_id String COMMENT 'The customer',
    recommendation_id String COMMENT 'The recommendation',
    variant LowCardinality(String) COMMENT '__champion__, the model id of a challenger, or __holdout__',
    decided_at DateTime64(3, 'UTC') COMMENT 'When the recommendation was made'
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, experiment_id, customer_id, recommendation_id)
SETTINGS non_replicated_deduplication_window = 0
COMMENT 'Which customers were in which arm of an experiment, and when; read variant_assignments'

-- One row is one recommendation made in one arm of one experiment, once, whatever was rewritten after a crash. A customer
-- has many: count distinct customers.
CREATE VIEW variant_assignments
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    experiment_id String COMMENT 'The experiment',
    customer_id String COMMENT 'The customer',
    recommendation_id String COMMENT 'The recommendation',
    variant LowCardinality(String) COMMENT '__champion__, the model id of a challenger, or __holdout__',
    decided_at DateTime64(3, 'UTC') COMMENT 'When the recommendation was made'
)
AS SELECT
    tenant_id,
    experiment_id,
    customer_id,
    recommendation_id,
    variant,
    decided_at
FROM variant_assignment_log FINAL
COMMENT 'Which customers were in which arm of an experiment, and when'

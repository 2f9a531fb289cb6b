-- One row is where to find one recommendation: decisions lie with their customer, who is not always known. Written by the
-- stream together with the decision, and rewritten after a crash with the same values.
-- By id, because that is what is asked; ids that Rapport makes ascend with time, so recent ones lie together.
CREATE TABLE decision_places
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    recommendation_id String COMMENT 'Identifies the recommendation',
    customer_id String COMMENT 'Whose decision it is in table decisions',
    decided_at DateTime64(3, 'UTC') COMMENT 'When it was made'
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, recommendation_id, customer_id)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 0
COMMENT 'Where each recommendation is in table decisions'

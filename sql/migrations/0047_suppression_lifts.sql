-- One row is one time that an operator lifted what a suppression rule does to a customer in one scope. Append-only: what was
-- lifted stays lifted until an outcome suppresses anew, and the latest row of a rule and a scope counts.
-- Decisions read a few customers at once by their ids: hence the order.
CREATE TABLE suppression_lifts
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer, as in events',
    rule_id String COMMENT 'The suppression rule, or the default',
    scope_id String COMMENT 'The offer, the category, or all',
    lifted_at DateTime64(3, 'UTC') COMMENT 'From then on what the rule suppressed before does not hold',
    reason String COMMENT 'As the operator gave it',
    changed_by String COMMENT 'The key that lifted it',
    request_id String COMMENT 'Trace of the request that lifted it',
    stored_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was recorded'
)
ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (tenant_id, customer_id, rule_id, scope_id, lifted_at)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 0
COMMENT 'Suppressions that operators lifted; the latest of each rule and scope counts'

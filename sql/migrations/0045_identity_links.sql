-- One row is one version of one identifier: which customer it belongs to. The latest counts; all are kept, because the
-- time is part of the order.
-- Identifiers are resolved one at a time: hence the order. Those of a customer are found by the index, because a
-- customer may be named by identifiers of any type.
-- The customer and the identifier stand in one array, because either may name a person whom erasure has to find.
CREATE TABLE identity_links
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    identifier_type LowCardinality(String) COMMENT 'email, phone, device, loyalty_card …; any word',
    customer_ids Array(String) COMMENT 'The identifier, then the customer it belongs to',
    confidence Float64 COMMENT 'From 0 to 1',
    source LowCardinality(String) COMMENT 'How it became known; api for requests',
    changed_by String COMMENT 'The key that linked it',
    stored_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was linked',
    INDEX by_customer customer_ids TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (tenant_id, identifier_type, customer_ids, stored_at)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 0
COMMENT 'Identifiers of customers, with every change'

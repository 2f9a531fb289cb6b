-- One row is one statement about two customers: that they are one person, or that they are not after all.
-- All of a tenant are read together, in the order in which they were made: hence the tenant first. Nothing is ever
-- replaced but a row that was written again; erasure alone deletes.
CREATE TABLE identity_merges
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    merge_id String COMMENT 'The merge; the statement that undoes it has the same',
    customer_ids Array(String) COMMENT 'The source and the target, as the request named them',
    is_undone Bool COMMENT 'Whether the merge was undone',
    changed_by String COMMENT 'The key that asked for it',
    request_id String COMMENT 'Trace of the request that asked for it',
    stored_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was made'
)
ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (tenant_id, merge_id, is_undone)
SETTINGS non_replicated_deduplication_window = 0
COMMENT 'Which customers were merged, and which merges were undone'

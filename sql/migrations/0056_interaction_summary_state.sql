-- Summary rows count blocks of a source's log: runs of messages whose bounds follow from the messages alone. A worker
-- keeps what the open block counts in memory, so a batch reads no row before it writes; readers add blocks up as they add
-- sources up. Block 0 counts everything that was put together up to its applied_offset, which includes all rows from
-- before this migration: none is rewritten.
ALTER TABLE interaction_summary_state ADD COLUMN block UInt32 COMMENT 'Run of the source''s log that is counted here; 0 for closed blocks put together'
    AFTER source,
    MODIFY ORDER BY (tenant_id, customer_id, offer_id, creative_id, channel_id, source, period_type, period_key, block)

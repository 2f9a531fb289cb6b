-- One row is a message that an operator has had skipped (rapport topic skip): the owner of its partition makes a dead
-- letter of it, unread. Only added to, where a repeated row says the same, and read when a partition is assigned, so that
-- every replay decides the same. By source and offset, as workers ask for those of their sources.
CREATE TABLE stream_skips
(
    source String COMMENT 'Log of the message: cluster id/topic/partition',
    offset UInt64 COMMENT 'Its offset',
    reason String COMMENT 'Why, in the operator''s words',
    skipped_by String COMMENT 'Who or what said so',
    created_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When'
)
ENGINE = ReplacingMergeTree
ORDER BY (source, offset)
COMMENT 'Messages that operators have had skipped'

-- Where the open block of a source began and how many events it has: with these a worker goes on from next_offset to the
-- same bounds as every other. All zero in progress that was recorded before there were blocks.
ALTER TABLE stream_progress ADD COLUMN block UInt32 DEFAULT 0 COMMENT 'The open block at next_offset; 0 before there were blocks'
        AFTER next_offset,
    ADD COLUMN block_from UInt64 DEFAULT 0 COMMENT 'Offset of its first message' AFTER block,
    ADD COLUMN block_events UInt64 DEFAULT 0 COMMENT 'Events of it before next_offset, as they bound blocks'
        AFTER block_from,
    ADD COLUMN block_began_at DateTime64(3, 'UTC') DEFAULT 0 COMMENT 'Broker time of its first message' AFTER block_events

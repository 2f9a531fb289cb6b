-- As for summaries: keys are hashes, so each one asked for lies in a granule of its own.
ALTER TABLE event_claims MODIFY SETTING min_compress_block_size = 1024

-- Deletes the summary rows, from before there were blocks, that count messages of a source from an offset on.
ALTER TABLE interaction_summary_state
DELETE WHERE source = {source:String} AND block = 0 AND applied_offset >= {next_offset:UInt64}
SETTINGS mutations_sync = 2

-- A row is one of some sources, or of all: the offset at which its next batch starts, the open block there, the offset of the block's first
-- message, its events so far and the broker time of the first. The block is 0 if the progress was recorded before there were blocks.
SELECT
    toString(source) AS source,
    max(p.next_offset) AS next_offset,
    argMax(p.block, p.next_offset) AS block,
    argMax(p.block_from, p.next_offset) AS block_from,
    argMax(p.block_events, p.next_offset) AS block_events,
    toUnixTimestamp64Milli(argMax(p.block_began_at, p.next_offset)) AS block_began_ms
FROM stream_progress AS p
WHERE {all_sources:Bool} OR source IN {sources:Array(String)}
GROUP BY source

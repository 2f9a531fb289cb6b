-- A row is one of the given logs, with the offset up to which it has been searched for entry events.
SELECT
    toString(source) AS source,
    max(next_offset) AS next_offset
FROM journey_progress
WHERE source IN {sources:Array(String)}
GROUP BY source

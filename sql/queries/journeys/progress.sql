-- A row is how far one of the logs asked for has been looked through for customers who enter journeys.
SELECT
    toString(source) AS source,
    max(next_offset) AS next_offset
FROM journey_progress
WHERE source IN {sources:Array(String)}
GROUP BY source

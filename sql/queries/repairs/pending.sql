-- A row is one pending repair of one source.
SELECT repair_id, source, count() AS customers
FROM summary_repairs FINAL
WHERE source IN {sources:Array(String)} AND is_done = 0
GROUP BY repair_id, source

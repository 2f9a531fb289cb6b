-- A row is one repair of one source that waits to be done.
SELECT repair_id, source, count() AS customers
FROM summary_repairs FINAL
WHERE source IN {sources:Array(String)} AND is_done = 0
GROUP BY repair_id, source

-- A row is one partition of one topic of one cluster: the offset of its next batch, and the worker that wrote the last.
SELECT partition, max(p.next_offset) AS next_offset, argMax(p.worker, p.next_offset) AS worker
FROM stream_progress AS p
WHERE cluster_id = {cluster_id:String} AND topic = {topic:String}
GROUP BY partition
ORDER BY partition

-- The one row is the number of times that a topic of a cluster was recreated; 0 if never.
SELECT max(generation) AS generation
FROM stream_sources
WHERE cluster_id = {cluster_id:String} AND topic = {topic:String}

-- One row is one generation of a topic's log. A topic that is deleted and created anew starts at offset 0 again; an
-- operator says so (rapport topic recreated), and from then on its sources carry the new generation in their name.
CREATE TABLE stream_sources
(
    cluster_id String COMMENT 'Kafka cluster id',
    topic String COMMENT 'Topic',
    generation UInt32 COMMENT 'Counts the times the topic was recreated; the version of the row',
    reason String COMMENT 'Why, in the operator''s words',
    created_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the generation began'
)
ENGINE = ReplacingMergeTree(generation)
ORDER BY (cluster_id, topic)
COMMENT 'Generations of recreated topics'

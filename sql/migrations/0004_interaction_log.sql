-- One row is one accepted event. Rewritten after a crash with the same values, hence Replacing without a version.
-- By customer and time-sortable id: the history of one customer is one range. The projection serves a whole tenant,
-- newest first, without reading every customer.
-- Partitioned by year only: a batch of late events may touch many periods, and each touched partition costs a part.
-- Small compressed blocks and the column packed, as in interaction_summary_state: a customer's history lies in few granules,
-- and whoever reads it unpacks those alone. The category stands first in packed, for reads without recommendations.
CREATE TABLE interaction_log
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer',
    id String COMMENT 'Sorts by event time; made of time and place in the log, so a replay gives the same id',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened, by the producer',
    received_at DateTime64(3, 'UTC') COMMENT 'When the broker got it',
    local_date Date COMMENT 'Calendar day of occurred_at in the tenant''s time zone',
    outcome LowCardinality(String) COMMENT 'Key of the outcome type',
    classification LowCardinality(String) COMMENT 'As the outcome type said when the event was received',
    category LowCardinality(String) COMMENT 'impression, response or recommendation',
    is_conversion Bool COMMENT 'Whether it counts in converts',
    direction LowCardinality(String) COMMENT 'inbound or outbound',
    offer_id String COMMENT 'Empty where the event names none',
    creative_id String COMMENT 'Empty where the event names none',
    channel_id String COMMENT 'Empty where the event names none',
    placement_id String COMMENT 'Empty where the event names none',
    conversion_value Nullable(Decimal(18, 6)) COMMENT 'In the tenant''s currency; null where the event names none',
    recommendation_id String COMMENT 'The recommendation it answers, or empty',
    rank UInt16 COMMENT 'Rank in that recommendation, 0 where there is none',
    idempotency_key String COMMENT 'As sent by the producer',
    context String CODEC(ZSTD(3)) COMMENT 'JSON object or empty',
    outcome_details String CODEC(ZSTD(3)) COMMENT 'JSON object or empty',
    metadata String CODEC(ZSTD(3)) COMMENT 'JSON object or empty; holds fields the contract does not know',
    source LowCardinality(String) COMMENT 'Cluster, topic and partition',
    offset UInt64 COMMENT 'Offset of its message',
    item UInt32 COMMENT 'Index in an array message',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was written',
    packed String MATERIALIZED toJSONString((
        toString(category),
        toUnixTimestamp64Milli(occurred_at),
        toString(outcome),
        toString(classification),
        is_conversion,
        toString(direction),
        offer_id,
        creative_id,
        channel_id,
        toString(conversion_value),
        recommendation_id,
        rank,
        toString(source),
        offset
    )) COMMENT 'The event once more as a JSON array, without ids and details: for reading single customers',
    PROJECTION by_time (SELECT tenant_id, id, customer_id ORDER BY tenant_id, id)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYear(occurred_at)
ORDER BY (tenant_id, customer_id, id)
SETTINGS index_granularity = 1024, min_compress_block_size = 1024, deduplicate_merge_projection_mode = 'rebuild', non_replicated_deduplication_window = 0
COMMENT 'Every accepted interaction; read it through view interactions'

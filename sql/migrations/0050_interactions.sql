-- As for summaries: what decisions and pages need to know of an event, in one column. The category stands first, for reads
-- without recommendations.
ALTER TABLE interactions ADD COLUMN packed String MATERIALIZED toJSONString((
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
)) COMMENT 'The event once more as a JSON array, without ids and details: for reading single customers'

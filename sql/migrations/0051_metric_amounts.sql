-- One row is what one behavioral metric counts of one customer, where it counts any: how many amounts, their sum, the
-- smallest and the largest. An amount is 1 for each event, or its conversion value. Rows of merged customers add up.
-- An event matches a metric if it fulfils all of its filters; recommendations, which are no contacts, match only metrics
-- that filter by outcome or category. Windows are ranges of ids, because ids begin with the event time; events dated
-- ahead count when they were received.
-- Parameters: tenant_id; first_id and before_id, the range of all windows together; windows (number, aggregate, field,
-- from_id, filters, contacts_only) and filters (number, field, accepted), as rapport.storage.metrics builds them.
CREATE VIEW metric_amounts
AS SELECT
    customer_id,
    number,
    aggregate,
    count(amount) AS amounts,
    sum(amount) AS total,
    min(amount) AS least,
    max(amount) AS most
FROM
(
    SELECT
        e.customer_id AS customer_id,
        m.1 AS number,
        m.2 AS aggregate,
        if(m.3 = '*', toDecimal64(1, 6), e.conversion_value) AS amount
    FROM
    (
        SELECT
            customer_id,
            least(
                id,
                concat(leftPad(lower(hex(toUnixTimestamp64Milli(received_at))), 12, '0'), substring(id, 13))
            ) AS counted_id,
            conversion_value,
            CAST(outcome AS String) AS outcome,
            CAST(classification AS String) AS classification,
            CAST(category AS String) AS category,
            CAST(direction AS String) AS direction,
            offer_id,
            creative_id,
            channel_id
        FROM interaction_log FINAL
        WHERE tenant_id = {tenant_id:String}
            AND id >= {first_id:String}
            AND counted_id < {before_id:String}
            AND notEmpty({windows:Array(Tuple(UInt32, String, String, String, UInt32, UInt32))})
    ) AS e
    ARRAY JOIN {windows:Array(Tuple(UInt32, String, String, String, UInt32, UInt32))} AS m
    WHERE e.counted_id >= m.4
        AND (m.6 = 0 OR e.category != 'recommendation')
        AND m.5 =
            ((m.1, 'outcome', e.outcome) IN {filters:Array(Tuple(UInt32, String, String))})
            + ((m.1, 'classification', e.classification) IN {filters:Array(Tuple(UInt32, String, String))})
            + ((m.1, 'category', e.category) IN {filters:Array(Tuple(UInt32, String, String))})
            + ((m.1, 'direction', e.direction) IN {filters:Array(Tuple(UInt32, String, String))})
            + ((m.1, 'offerId', e.offer_id) IN {filters:Array(Tuple(UInt32, String, String))})
            + ((m.1, 'creativeId', e.creative_id) IN {filters:Array(Tuple(UInt32, String, String))})
            + ((m.1, 'channelId', e.channel_id) IN {filters:Array(Tuple(UInt32, String, String))})
)
GROUP BY customer_id, number, aggregate
HAVING count(amount) > 0
COMMENT 'What behavioral metrics count of each customer; a view with parameters'

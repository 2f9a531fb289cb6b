-- A row is the value of one behavioral metric of one customer, where anything matches. An event matches a metric if it
-- fulfils all of its filters; recommendations, which are no contacts, match only metrics that filter by outcome or
-- category. Windows are ranges of ids, because ids begin with the event time; events dated ahead count when they were
-- received.
-- Frames: metric_customers (customer_id, member: one row for each id of a customer), metric_windows (number, aggregate,
-- field, from_id, filters, contacts_only), metric_filters (number, field, accepted).
SELECT
    customer_id,
    number,
    multiIf(
        aggregate = 'count', toFloat64(count(amount)),
        aggregate = 'sum', ifNull(toFloat64(sum(amount)), 0),
        aggregate = 'avg', toFloat64(sum(amount)) / count(amount),
        aggregate = 'min', toFloat64(min(amount)),
        toFloat64(max(amount))
    ) AS value
FROM
(
    SELECT
        c.customer_id AS customer_id,
        m.number AS number,
        m.aggregate AS aggregate,
        if(m.field = '*', toDecimal64(1, 6), e.conversion_value) AS amount
    FROM
    (
        SELECT
            customer_id,
            least(id, concat(leftPad(lower(hex(toUnixTimestamp64Milli(received_at))), 12, '0'), substring(id, 13))) AS counted_id,
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
            AND customer_id IN (SELECT member FROM metric_customers)
            AND id >= {first_id:String}
            AND counted_id < {before_id:String}
    ) AS e
    INNER JOIN metric_customers AS c ON c.member = e.customer_id
    CROSS JOIN metric_windows AS m
    WHERE e.counted_id >= m.from_id
        AND (m.contacts_only = 0 OR e.category != 'recommendation')
        AND m.filters =
            ((m.number, 'outcome', e.outcome) IN metric_filters)
            + ((m.number, 'classification', e.classification) IN metric_filters)
            + ((m.number, 'category', e.category) IN metric_filters)
            + ((m.number, 'direction', e.direction) IN metric_filters)
            + ((m.number, 'offerId', e.offer_id) IN metric_filters)
            + ((m.number, 'creativeId', e.creative_id) IN metric_filters)
            + ((m.number, 'channelId', e.channel_id) IN metric_filters)
)
GROUP BY customer_id, number, aggregate
HAVING isNotNull(value)

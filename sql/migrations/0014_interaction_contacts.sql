-- One row is one contact in one period: what the summaries count, worked out from the history. Recommendations are no
-- contacts. rapport reconcile compares the summaries with this view and repairs them from it. Negative values, which only
-- outcome types that allow them have, take value back, however the outcome is classified.
CREATE VIEW interaction_contacts
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer',
    period_type LowCardinality(String) COMMENT 'daily, weekly, monthly or alltime',
    period_key LowCardinality(String) COMMENT '2026-04-30, 2026-W18, 2026-04 or alltime',
    offer_id String COMMENT 'Empty where the event names none',
    creative_id String COMMENT 'Empty where the event names none',
    channel_id String COMMENT 'Empty where the event names none',
    source LowCardinality(String) COMMENT 'Cluster, topic and partition',
    offset UInt64 COMMENT 'Offset of its message',
    item UInt32 COMMENT 'Index in an array message',
    impressions UInt8 COMMENT '1 for an outcome of category impression',
    positive UInt8 COMMENT '1 for a positive response',
    negative UInt8 COMMENT '1 for a negative response',
    neutral UInt8 COMMENT '1 for a neutral response',
    converts UInt8 COMMENT '1 for a conversion',
    value Decimal(38, 6) COMMENT 'conversion_value of a positive outcome, or one below 0; else 0',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    outcome LowCardinality(String) COMMENT 'Key of the outcome type',
    direction LowCardinality(String) COMMENT 'inbound or outbound'
)
AS SELECT
    tenant_id,
    customer_id,
    period.1 AS period_type,
    period.2 AS period_key,
    offer_id,
    creative_id,
    channel_id,
    source,
    offset,
    item,
    toUInt8(category = 'impression') AS impressions,
    toUInt8(category = 'response' AND classification = 'positive') AS positive,
    toUInt8(category = 'response' AND classification = 'negative') AS negative,
    toUInt8(category = 'response' AND classification = 'neutral') AS neutral,
    toUInt8(is_conversion) AS converts,
    if(
        classification = 'positive' OR conversion_value < 0,
        toDecimal128(ifNull(conversion_value, 0), 6),
        toDecimal128(0, 6)
    ) AS value,
    occurred_at,
    outcome,
    direction
FROM interaction_log FINAL
ARRAY JOIN [
    ('daily', toString(local_date)),
    (
        'weekly',
        concat(leftPad(toString(toISOYear(local_date)), 4, '0'), '-W', leftPad(toString(toISOWeek(local_date)), 2, '0'))
    ),
    ('monthly', formatDateTime(local_date, '%Y-%m')),
    ('alltime', 'alltime')
] AS period
WHERE category != 'recommendation'
COMMENT 'Contacts by period, from the history'

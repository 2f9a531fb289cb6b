-- Writes the value of every customer of a tenant who was ever contacted, from the summaries over all time. The rank of
-- a customer is twice the number of customers who rank lower, plus the number of those who rank equal: a whole number,
-- so that equal customers get equal points whatever the order of additions. Merged customers are one, by the canonical
-- id.
INSERT INTO clv_scores (tenant_id, customer_id, score, segment, recency_days, frequency, monetary, computed_at)
SELECT
    {tenant_id:String} AS tenant_id,
    customer_id,
    100 * points / (2 * customers * ({recency_weight:UInt32} + {frequency_weight:UInt32} + {monetary_weight:UInt32}))
        AS score,
    multiIf(
        recency_days >= {at_risk_days:UInt32}, 'at_risk',
        points >= thresholds[2], 'high',
        points >= thresholds[1], 'medium',
        'low'
    ) AS segment,
    recency_days,
    frequency,
    monetary,
    fromUnixTimestamp64Milli(toInt64({now_ms:UInt64}), 'UTC') AS computed_at
FROM
(
    SELECT
        *,
        count() OVER () AS customers,
        quantilesExactInclusive(0.25, 0.75)(points) OVER () AS thresholds
    FROM
    (
        SELECT
            customer_id,
            recency_days,
            frequency,
            monetary,
            toUInt64(
                {recency_weight:UInt32} * (2 * (later - 1) + same_recency)
                + {frequency_weight:UInt32} * (2 * (rarer - 1) + same_frequency)
                + {monetary_weight:UInt32} * (2 * (cheaper - 1) + same_monetary)
            ) AS points
        FROM
        (
            SELECT
                *,
                rank() OVER (ORDER BY recency_days DESC) AS later,
                count() OVER (PARTITION BY recency_days) AS same_recency,
                rank() OVER (ORDER BY frequency) AS rarer,
                count() OVER (PARTITION BY frequency) AS same_frequency,
                rank() OVER (ORDER BY monetary) AS cheaper,
                count() OVER (PARTITION BY monetary) AS same_monetary
            FROM
            (
                SELECT
                    transform(
                        s.customer_id, {aliases:Array(String)}, {canonical_ids:Array(String)}, s.customer_id
                    ) AS customer_id,
                    toUInt32(intDiv(
                        greatest(toInt64({now_ms:UInt64}) - toUnixTimestamp64Milli(max(last_contact_at)), 0), 86400000
                    )) AS recency_days,
                    sum(impressions + positive + negative + neutral) AS frequency,
                    sum(total_value) AS monetary
                FROM interaction_summary_state AS s FINAL
                WHERE tenant_id = {tenant_id:String} AND period_type = 'alltime'
                GROUP BY customer_id
                HAVING frequency > 0
            )
        )
    )
)

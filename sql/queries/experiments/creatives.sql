-- A row is one creative of one offer: how many customers it was recommended to, how many of them have converted, and how
-- many were recommended other creatives of the offer later. A customer belongs to the creative of the first recommendation
-- of the offer in the range, and has converted if the offer was converted at or after it and before the range ends. With
-- an experiment only its recommendations count.
WITH members AS
(
    SELECT
        customer_id,
        argMin(i.creative_id, (i.occurred_at, i.recommendation_id, i.rank)) AS creative,
        min(i.occurred_at) AS since,
        uniqExact(i.creative_id) > 1 AS has_switched
    FROM interactions AS i
    WHERE tenant_id = {tenant_id:String}
        AND category = 'recommendation'
        AND offer_id = {offer_id:String}
        AND creative_id != ''
        AND occurred_at >= fromUnixTimestamp64Milli(toInt64({from_ms:UInt64}), 'UTC')
        AND occurred_at < fromUnixTimestamp64Milli(toInt64({to_ms:UInt64}), 'UTC')
        AND (
            {experiment_id:String} = ''
            OR (customer_id, recommendation_id) IN
            (
                SELECT customer_id, recommendation_id
                FROM variant_assignments
                WHERE tenant_id = {tenant_id:String} AND experiment_id = {experiment_id:String}
            )
        )
    GROUP BY customer_id
),
conversions AS
(
    SELECT customer_id, max(occurred_at) AS latest_at
    FROM interactions
    WHERE tenant_id = {tenant_id:String}
        AND is_conversion
        AND offer_id = {offer_id:String}
        AND customer_id IN (SELECT customer_id FROM members)
        AND occurred_at < fromUnixTimestamp64Milli(toInt64({to_ms:UInt64}), 'UTC')
    GROUP BY customer_id
)
SELECT
    creative AS variant,
    count() AS customers,
    countIf(c.customer_id != '' AND c.latest_at >= m.since) AS conversions,
    countIf(has_switched) AS switched
FROM members AS m
LEFT JOIN conversions AS c ON c.customer_id = m.customer_id
GROUP BY creative
ORDER BY creative

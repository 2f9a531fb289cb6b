-- A row is one variant of one experiment: how many customers are in it, how many of them have converted, and how many
-- were in other variants later. A customer is in the variant of the first recommendation of the range, and has converted
-- if there is a conversion (of one offer, if one is named) at or after that recommendation and before the range ends.
-- With only_offered a conversion counts only at or after a recommendation of its own offer in this experiment.
WITH assigned AS
(
    SELECT customer_id, recommendation_id, CAST(variant AS String) AS arm, decided_at
    FROM variant_assignments
    WHERE tenant_id = {tenant_id:String}
        AND experiment_id = {experiment_id:String}
        AND decided_at >= fromUnixTimestamp64Milli(toInt64({from_ms:UInt64}), 'UTC')
        AND decided_at < fromUnixTimestamp64Milli(toInt64({to_ms:UInt64}), 'UTC')
),
members AS
(
    SELECT
        customer_id,
        argMin(arm, (decided_at, recommendation_id)) AS variant,
        min(decided_at) AS since,
        uniqExact(arm) > 1 AS has_switched
    FROM assigned
    GROUP BY customer_id
),
conversions AS
(
    SELECT customer_id, offer_id, max(occurred_at) AS latest_at
    FROM interactions
    WHERE tenant_id = {tenant_id:String}
        AND is_conversion
        AND customer_id IN (SELECT customer_id FROM members)
        AND occurred_at < fromUnixTimestamp64Milli(toInt64({to_ms:UInt64}), 'UTC')
        AND ({offer_id:String} = '' OR offer_id = {offer_id:String})
    GROUP BY customer_id, offer_id
),
offered AS
(
    SELECT customer_id, offer_id, min(occurred_at) AS since
    FROM interactions
    WHERE {only_offered:Bool}
        AND tenant_id = {tenant_id:String}
        AND category = 'recommendation'
        AND (customer_id, recommendation_id) IN (SELECT customer_id, recommendation_id FROM assigned)
    GROUP BY customer_id, offer_id
),
converted AS
(
    SELECT c.customer_id AS customer_id
    FROM conversions AS c
    INNER JOIN members AS m ON m.customer_id = c.customer_id
    LEFT JOIN offered AS o ON o.customer_id = c.customer_id AND o.offer_id = c.offer_id
    WHERE c.latest_at >= m.since
        AND (NOT {only_offered:Bool} OR (o.customer_id != '' AND c.latest_at >= o.since))
)
SELECT
    variant,
    count() AS customers,
    countIf(customer_id IN (SELECT customer_id FROM converted)) AS conversions,
    countIf(has_switched) AS switched
FROM members
GROUP BY variant
ORDER BY variant

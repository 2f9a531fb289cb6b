-- A row is one creative of one offer, with the people it was recommended to, those of them who have converted, and
-- those who were recommended other creatives of the offer later. Merged ids are one person. A person belongs to the
-- creative of the first recommendation of the offer in the time range, and has converted if the offer was converted
-- before the range ends, by an event that names one of these recommendations, or at or after the first of them. With an
-- experiment only its recommendations count.
WITH offers AS
(
    SELECT
        i.customer_id AS customer_id,
        transform(i.customer_id, {aliases:Array(String)}, {canonical_ids:Array(String)}, i.customer_id) AS person,
        i.recommendation_id AS recommendation_id,
        i.creative_id AS creative_id,
        i.rank AS place,
        i.occurred_at AS at
    FROM interaction_log AS i
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
                FROM variant_assignment_log
                WHERE tenant_id = {tenant_id:String} AND experiment_id = {experiment_id:String}
            )
        )
),
members AS
(
    SELECT
        person,
        argMin(creative_id, (at, recommendation_id, place)) AS creative,
        min(at) AS since,
        uniqExact(creative_id) > 1 AS has_switched
    FROM offers
    GROUP BY person
),
conversions AS
(
    SELECT
        transform(i.customer_id, {aliases:Array(String)}, {canonical_ids:Array(String)}, i.customer_id) AS person,
        max(i.occurred_at) AS latest_at,
        max((person, i.recommendation_id) IN (SELECT person, recommendation_id FROM offers)) AS names_any
    FROM interaction_log AS i
    WHERE i.tenant_id = {tenant_id:String}
        AND i.is_conversion
        AND i.offer_id = {offer_id:String}
        AND i.customer_id IN
        (
            SELECT customer_id FROM offers
            UNION ALL
            SELECT arrayJoin(arrayConcat({aliases:Array(String)}, {canonical_ids:Array(String)}))
        )
        AND i.occurred_at < fromUnixTimestamp64Milli(toInt64({to_ms:UInt64}), 'UTC')
    GROUP BY person
)
SELECT
    creative AS variant,
    count() AS customers,
    countIf(c.person != '' AND (c.names_any OR c.latest_at >= m.since)) AS conversions,
    countIf(has_switched) AS switched
FROM members AS m
LEFT JOIN conversions AS c ON c.person = m.person
GROUP BY creative
ORDER BY creative

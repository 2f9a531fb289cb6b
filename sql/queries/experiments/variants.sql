-- A row is one variant of one experiment, with the people in it, those of them who have converted, and those who were
-- in other variants later. Merged ids are one person. A person is in the variant of the first recommendation in the
-- time range, and has converted if there is a conversion (of one offer, if one is given) before the range ends that
-- names one of these recommendations, whatever its own time, or happened at or after the first of them. With
-- only_offered a conversion has to name a recommendation of its own offer in this experiment, or to happen at or after
-- one.
WITH assigned AS
(
    SELECT
        customer_id,
        transform(customer_id, {aliases:Array(String)}, {canonical_ids:Array(String)}, customer_id) AS person,
        recommendation_id,
        CAST(variant AS String) AS arm,
        decided_at
    FROM variant_assignment_log
    WHERE tenant_id = {tenant_id:String}
        AND experiment_id = {experiment_id:String}
        AND decided_at >= fromUnixTimestamp64Milli(toInt64({from_ms:UInt64}), 'UTC')
        AND decided_at < fromUnixTimestamp64Milli(toInt64({to_ms:UInt64}), 'UTC')
),
members AS
(
    SELECT
        person,
        argMin(arm, (decided_at, recommendation_id)) AS variant,
        min(decided_at) AS since,
        uniqExact(arm) > 1 AS has_switched
    FROM assigned
    GROUP BY person
),
offers AS
(
    SELECT
        transform(customer_id, {aliases:Array(String)}, {canonical_ids:Array(String)}, customer_id) AS person,
        recommendation_id,
        offer_id,
        occurred_at
    FROM interaction_log
    WHERE {only_offered:Bool}
        AND tenant_id = {tenant_id:String}
        AND category = 'recommendation'
        AND (customer_id, recommendation_id) IN (SELECT customer_id, recommendation_id FROM assigned)
),
offered AS
(
    SELECT person, offer_id, min(occurred_at) AS since
    FROM offers
    GROUP BY person, offer_id
),
conversions AS
(
    SELECT
        transform(i.customer_id, {aliases:Array(String)}, {canonical_ids:Array(String)}, i.customer_id) AS person,
        i.offer_id AS offer_id,
        max(i.occurred_at) AS latest_at,
        max((person, i.recommendation_id) IN (SELECT person, recommendation_id FROM assigned)) AS names_any,
        max((person, i.recommendation_id, offer_id) IN (SELECT person, recommendation_id, offer_id FROM offers))
            AS names_own
    FROM interaction_log AS i
    WHERE i.tenant_id = {tenant_id:String}
        AND i.is_conversion
        AND i.customer_id IN
        (
            SELECT customer_id FROM assigned
            UNION ALL
            SELECT arrayJoin(arrayConcat({aliases:Array(String)}, {canonical_ids:Array(String)}))
        )
        AND i.occurred_at < fromUnixTimestamp64Milli(toInt64({to_ms:UInt64}), 'UTC')
        AND ({offer_id:String} = '' OR i.offer_id = {offer_id:String})
    GROUP BY person, offer_id
),
converted AS
(
    SELECT c.person AS person
    FROM conversions AS c
    INNER JOIN members AS m ON m.person = c.person
    LEFT JOIN offered AS o ON o.person = c.person AND o.offer_id = c.offer_id
    WHERE if(
        {only_offered:Bool},
        c.names_own OR (o.person != '' AND c.latest_at >= o.since),
        c.names_any OR c.latest_at >= m.since
    )
)
SELECT
    variant,
    count() AS customers,
    countIf(person IN (SELECT person FROM converted)) AS conversions,
    countIf(has_switched) AS switched
FROM members
GROUP BY variant
ORDER BY variant

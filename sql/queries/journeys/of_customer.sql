-- A row is an enrolment of one customer, under any of the ids, the latest first, with the name of its journey.
SELECT
    e.enrolment_id AS enrolment_id,
    toString(e.journey_id) AS journey_id,
    j.name AS journey_name,
    toString(e.status) AS status,
    e.step AS step,
    toUnixTimestamp64Milli(e.enrolled_at) AS enrolled_at_ms,
    toUnixTimestamp64Milli(e.ended_at) AS ended_at_ms
FROM
(
    SELECT *
    FROM journey_enrolments
    WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
) AS e
LEFT JOIN
(
    SELECT entity_id, name
    FROM catalogue_entities
    WHERE tenant_id = {tenant_id:String} AND kind = 'journey'
) AS j ON j.entity_id = toString(e.journey_id)
ORDER BY e.enrolled_at DESC, e.enrolment_id

-- A row is an enrolment in one journey, the latest first, with the number on all pages; its columns are as in states.
SELECT
    customer_id,
    toString(journey_id) AS journey_id,
    enrolment_id,
    version,
    journey_version,
    toString(status) AS status,
    step,
    toUnixTimestamp64Milli(due_at) AS due_at_ms,
    toUnixTimestamp64Milli(enrolled_at) AS enrolled_at_ms,
    toUnixTimestamp64Milli(ended_at) AS ended_at_ms,
    state,
    count() OVER () AS total
FROM journey_enrolments AS e
WHERE e.tenant_id = {tenant_id:String}
    AND e.journey_id = {journey_id:String}
    AND ({customer_id:String} = '' OR e.customer_id = {customer_id:String})
    AND ({status:String} = '' OR e.status = {status:String})
ORDER BY e.enrolled_at DESC, enrolment_id
LIMIT {limit:UInt32} OFFSET {offset:UInt32}

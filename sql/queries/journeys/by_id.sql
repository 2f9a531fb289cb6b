-- The row is the newest version of one enrolment of a journey; its columns are as in states.
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
    state
FROM journey_enrolments AS e
WHERE e.tenant_id = {tenant_id:String}
    AND e.journey_id = {journey_id:String}
    AND e.enrolment_id = {enrolment_id:String}

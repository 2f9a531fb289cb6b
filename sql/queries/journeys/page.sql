-- A row is an enrolment in one journey, the latest first; with how many there are on all pages.
SELECT
    state,
    count() OVER () AS total
FROM journey_enrollments
WHERE tenant_id = {tenant_id:String}
    AND journey_id = {journey_id:String}
    AND ({customer_id:String} = '' OR customer_id = {customer_id:String})
    AND ({status:String} = '' OR status = {status:String})
ORDER BY enrolled_at DESC, enrollment_id
LIMIT {limit:UInt32} OFFSET {offset:UInt32}

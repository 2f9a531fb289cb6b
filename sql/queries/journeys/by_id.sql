-- The row is one enrolment of a journey, as it stands now.
SELECT state
FROM journey_enrollments
WHERE tenant_id = {tenant_id:String}
    AND journey_id = {journey_id:String}
    AND enrollment_id = {enrollment_id:String}

-- A row is one kind of data that exists for a customer: interactions, attributes, consents or enrolments in journeys.
SELECT 'interactions' AS kind
FROM interactions
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
LIMIT 1
UNION ALL
SELECT 'attributes' AS kind
FROM customers
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
LIMIT 1
UNION ALL
SELECT 'consents' AS kind
FROM consents
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
LIMIT 1
UNION ALL
SELECT 'enrolments' AS kind
FROM journey_enrollment_versions
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
LIMIT 1

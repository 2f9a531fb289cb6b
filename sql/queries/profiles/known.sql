-- A row is one kind of data that exists for a customer: interactions, attributes, consents or enrolments in journeys.
SELECT 'interactions' AS kind
FROM interaction_log
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
LIMIT 1
UNION ALL
SELECT 'attributes' AS kind
FROM customers
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
LIMIT 1
UNION ALL
SELECT 'consents' AS kind
FROM consent_log
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
LIMIT 1
UNION ALL
SELECT 'enrolments' AS kind
FROM journey_enrolment_versions
WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
LIMIT 1

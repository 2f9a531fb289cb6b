-- A row is one id that is named by any version of the contact profiles that have ever named one of some customers.
SELECT DISTINCT arrayJoin(customer_ids) AS customer_id
FROM contact_profile_versions
WHERE tenant_id = {tenant_id:String} AND profile_id IN
(
    SELECT profile_id
    FROM contact_profile_versions
    WHERE tenant_id = {tenant_id:String} AND hasAny(folded_ids, {customer_ids:Array(String)})
)

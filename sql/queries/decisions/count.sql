-- The one row is the number of a tenant's recommendations, and which of some ids are among them.
SELECT
    uniqExact(recommendation_id) AS total,
    groupUniqArrayIf(recommendation_id, recommendation_id IN {ours:Array(String)}) AS seen
FROM decision_places
WHERE tenant_id = {tenant_id:String}

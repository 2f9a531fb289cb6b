-- One row: how many recommendations a tenant has been given, and which of some are among them.
SELECT
    uniqExact(recommendation_id) AS total,
    groupUniqArrayIf(recommendation_id, recommendation_id IN {ours:Array(String)}) AS seen
FROM decision_places
WHERE tenant_id = {tenant_id:String}

-- A row is a subset of the given segments, and the number of customers who are in exactly these of them. Only the
-- customers with the smallest hashes count: a sample that is the same in every call.
SELECT
    segment_ids,
    count() AS customers
FROM
(
    SELECT arraySort(groupUniqArray(segment_id)) AS segment_ids
    FROM segment_members FINAL
    WHERE tenant_id = {tenant_id:String} AND segment_id IN {segment_ids:Array(String)} AND is_member
    GROUP BY customer_id
    ORDER BY cityHash64(customer_id)
    LIMIT {sample_size:UInt32}
)
GROUP BY segment_ids

-- A row is a set of the segments asked for, and how many customers are in exactly these of them. Only the customers with
-- the smallest hashes are looked at: a sample that is the same whenever it is asked for.
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

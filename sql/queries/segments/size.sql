-- The one row is the number of members of a segment.
SELECT count() AS customers
FROM segment_members FINAL
WHERE tenant_id = {tenant_id:String} AND segment_id = {segment_id:String} AND is_member
